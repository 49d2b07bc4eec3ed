"use client";

import { ToolsPage } from "@/tools/page";

export default ToolsPage;
