"use client";

import { useCallback } from "react";
import { useMay } from "@/session/store";
import { Forbidden } from "@/ui/states";
import { useUrlState } from "@/ui/url-state";
import { KillComposer } from "./composer";
import { KillList } from "./list";
import { SwitchState } from "./switch-state";
import { readTarget, type Target, writeTarget } from "./target";

export function KillsPage() {
  const [query, setQuery] = useUrlState();
  const maySee = useMay("seeKills");
  const mayKill = useMay("kill");
  const target = readTarget(query);
  const onTarget = useCallback((next: Target) => setQuery(writeTarget(next)), [setQuery]);
  if (!maySee) return <Forbidden capability="seeKills" />;
  return (
    <div className="flex flex-1 flex-col gap-3 p-3">
      <SwitchState />
      {mayKill ? (
        <KillComposer target={target} onTarget={onTarget} />
      ) : (
        <p className="rounded-lg border bg-panel px-3 py-2 text-muted">
          You see kills. To stop or restore something, sign in with the role <b>operator</b> or{" "}
          <b>admin</b>.
        </p>
      )}
      <KillList />
    </div>
  );
}
