"use client";

import { AuditPage } from "@/audit/page";

export default AuditPage;
