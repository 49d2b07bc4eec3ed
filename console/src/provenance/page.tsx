"use client";

import { useMay } from "@/session/store";
import { Tabs } from "@/ui/tabs";
import { useUrlState } from "@/ui/url-state";
import { VerifyFile } from "./file";
import { LogState } from "./log-state";
import { Manifests } from "./manifests";

const TABS = [
  { value: "manifests", label: "Manifests" },
  { value: "file", label: "Verify a file" },
  { value: "log", label: "Log and keys" },
];

export function ProvenancePage() {
  const [query, set] = useUrlState();
  const maySee = useMay("seeManifests");
  const tab = query.get("tab") ?? (maySee ? "manifests" : "file");
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-panel">
      <Tabs
        label="Provenance"
        value={tab}
        onChange={(value) => set({ tab: value, open: null })}
        tabs={TABS}
      >
        {tab === "file" ? <VerifyFile /> : tab === "log" ? <LogState /> : <Manifests />}
      </Tabs>
    </div>
  );
}
