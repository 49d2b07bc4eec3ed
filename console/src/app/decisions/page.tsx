"use client";

import { DecisionsPage } from "@/decisions/page";

export default DecisionsPage;
