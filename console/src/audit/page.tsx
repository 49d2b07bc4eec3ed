"use client";

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Actor } from "@/access/actor";
import { killHistory } from "@/api/kills";
import { policyChanges } from "@/api/policy";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Choice } from "@/ui/choice";
import { Input } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { counted } from "@/ui/number";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { useUrlState } from "@/ui/url-state";
import { type Entry, ofKill, ofPolicy } from "./entries";
import { useSeen } from "./seen";

const TONES = { policy: "accent", kill: "danger", event: "neutral" } as const;

const COLUMNS: Column<Entry>[] = [
  {
    id: "at",
    header: "Time",
    width: "8rem",
    cell: (entry) => <Time at={entry.at} className="tabular text-muted" />,
    sortBy: (entry) => entry.at,
  },
  {
    id: "kind",
    header: "What",
    width: "minmax(7rem, 10rem)",
    cell: (entry) => (
      <Badge tone={entry.kind === "restore" ? "neutral" : TONES[entry.source]}>{entry.kind}</Badge>
    ),
    sortBy: (entry) => entry.kind,
  },
  {
    id: "subject",
    header: "Of what",
    width: "minmax(8rem, 3fr)",
    cell: (entry) => (
      <span className="font-medium" title={entry.subject}>
        {entry.subject}
      </span>
    ),
    sortBy: (entry) => entry.subject,
  },
  {
    id: "actor",
    header: "By",
    width: "minmax(7rem, 2fr)",
    cell: (entry) => <Actor id={entry.actor} />,
    sortBy: (entry) => entry.actor,
    from: 560,
  },
  {
    id: "reason",
    header: "Why",
    width: "minmax(7rem, 3fr)",
    cell: (entry) =>
      entry.reason ? (
        <span title={entry.reason}>{entry.reason}</span>
      ) : (
        <span className="text-faint">not stated</span>
      ),
    from: 760,
  },
  {
    id: "epoch",
    header: "Epoch",
    width: "4rem",
    align: "right",
    cell: (entry) => <span className="tabular text-muted">{entry.epoch ?? "–"}</span>,
    from: 900,
  },
];

export function AuditPage() {
  const maySeePolicy = useMay("seePolicy");
  const maySeeKills = useMay("seeKills");
  return maySeePolicy || maySeeKills ? (
    <Audit policy={maySeePolicy} kills={maySeeKills} />
  ) : (
    <Forbidden capability="seePolicy" />
  );
}

function Audit({ policy, kills }: { policy: boolean; kills: boolean }) {
  const [query, set] = useUrlState();
  const changes = useQuery({ ...policyChanges, enabled: policy });
  const history = useQuery({ ...killHistory, enabled: kills });
  const seen = useSeen();
  const text = (query.get("q") ?? "").toLowerCase();
  const source = query.get("source") ?? "all";
  const entries = useMemo(
    () =>
      [
        ...seen,
        ...(changes.data?.items ?? []).map(ofPolicy),
        ...(history.data?.items ?? []).flatMap(ofKill),
      ]
        .filter(
          (entry) =>
            (source === "all" || entry.source === source) &&
            `${entry.kind} ${entry.subject} ${entry.actor} ${entry.reason ?? ""}`
              .toLowerCase()
              .includes(text),
        )
        .sort((a, b) => b.at.localeCompare(a.at)),
    [seen, changes.data, history.data, source, text],
  );
  const failed = (policy && changes.isError && changes) || (kills && history.isError && history);
  const pending = (policy && changes.isPending) || (kills && history.isPending);
  return (
    <>
      <div className="flex flex-wrap items-center gap-3 border-b bg-panel px-3 py-2">
        <div className="w-72 max-w-full">
          <Input
            data-search
            aria-label="Search the record"
            placeholder="What, of what, by whom, why"
            value={query.get("q") ?? ""}
            onChange={(event) => set({ q: event.target.value })}
          />
        </div>
        <Choice
          label="Source"
          value={source}
          onChange={(value) => set({ source: value === "all" ? null : value })}
          options={[
            { value: "all", label: "All" },
            { value: "policy", label: "Policy" },
            { value: "kill", label: "Kills" },
            { value: "event", label: "Registry" },
          ]}
        />
        <p className="text-xs text-faint">
          Policy changes and kills are the server's record. Registry changes are those since this
          console was opened.
        </p>
      </div>
      {failed ? (
        <Failed error={failed.error} what="The record" retry={() => void failed.refetch()} />
      ) : pending ? (
        <Loading what="The record" rows={12} />
      ) : entries.length === 0 ? (
        <Empty title="Nothing was changed">
          Changes of policy, kills, tools, keys, tenants and upstreams appear here.
        </Empty>
      ) : (
        <Grid<Entry>
          label="Changes"
          columns={COLUMNS}
          rows={entries}
          rowKey={({ id }) => id}
          footer={
            <p className="px-3 py-2 text-xs text-faint">{counted(entries.length, "change")}</p>
          }
        />
      )}
    </>
  );
}
