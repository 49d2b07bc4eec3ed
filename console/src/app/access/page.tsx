"use client";

import { AccessPage } from "@/access/page";

export default AccessPage;
