"use client";

import { KillsPage } from "@/kills/page";

export default KillsPage;
