"use client";

import { OverviewPage } from "@/overview/page";

export default OverviewPage;
