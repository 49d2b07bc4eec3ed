"use client";

import { ProvenancePage } from "@/provenance/page";

export default ProvenancePage;
