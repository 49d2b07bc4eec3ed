"use client";

import { UpstreamsPage } from "@/upstreams/page";

export default UpstreamsPage;
