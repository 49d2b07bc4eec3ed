import {
  Activity,
  Cable,
  FileCheck2,
  Gauge,
  History,
  KeyRound,
  LayoutDashboard,
  type LucideIcon,
  OctagonX,
  ScrollText,
  Wrench,
} from "lucide-react";
import type { Capability } from "@/session/capabilities";

export interface ConsolePage {
  path: string;
  name: string;
  icon: LucideIcon;
  needs: Capability;
  /** After `g`. */
  key: string;
}

export const PAGES: readonly ConsolePage[] = [
  { path: "/", name: "Overview", icon: LayoutDashboard, needs: "seeDecisions", key: "o" },
  { path: "/kills/", name: "Kill switch", icon: OctagonX, needs: "seeKills", key: "k" },
  { path: "/decisions/", name: "Decisions", icon: Activity, needs: "seeDecisions", key: "d" },
  { path: "/tools/", name: "Tools", icon: Wrench, needs: "seeTools", key: "t" },
  { path: "/policies/", name: "Policies", icon: ScrollText, needs: "seePolicy", key: "p" },
  { path: "/quotas/", name: "Quotas", icon: Gauge, needs: "seeQuotas", key: "q" },
  { path: "/provenance/", name: "Provenance", icon: FileCheck2, needs: "seeManifests", key: "m" },
  { path: "/upstreams/", name: "Upstreams", icon: Cable, needs: "seeUpstreams", key: "u" },
  { path: "/access/", name: "Access", icon: KeyRound, needs: "manageKeys", key: "a" },
  { path: "/audit/", name: "Audit", icon: History, needs: "seePolicy", key: "h" },
];
