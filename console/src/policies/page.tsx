"use client";

import { useMay } from "@/session/store";
import { Forbidden } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useUrlState } from "@/ui/url-state";
import { Changes } from "./changes";
import { InForce } from "./in-force";
import { Probe } from "./probe";
import { Rollout } from "./rollout";
import { ShadowState } from "./shadow";

const TABS = [
  { value: "in-force", label: "In force" },
  { value: "rollout", label: "Rollout" },
  { value: "shadow", label: "Shadow" },
  { value: "probe", label: "Probe" },
  { value: "changes", label: "Changes" },
];

export function PoliciesPage() {
  const maySee = useMay("seePolicy");
  return maySee ? <Policies /> : <Forbidden capability="seePolicy" />;
}

function Policies() {
  const [query, set] = useUrlState();
  const tab = query.get("tab") ?? "in-force";
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-panel">
      <Tabs label="Policies" value={tab} onChange={(value) => set({ tab: value })} tabs={TABS}>
        {tab === "rollout" ? (
          <Rollout />
        ) : tab === "shadow" ? (
          <ShadowState />
        ) : tab === "probe" ? (
          <Probe />
        ) : tab === "changes" ? (
          <Changes />
        ) : (
          <InForce />
        )}
      </Tabs>
    </div>
  );
}
