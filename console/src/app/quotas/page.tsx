"use client";

import { QuotasPage } from "@/quotas/page";

export default QuotasPage;
