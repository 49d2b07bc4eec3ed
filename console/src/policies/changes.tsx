"use client";

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Actor } from "@/access/actor";
import { type PolicyChange, policyChanges } from "@/api/policy";
import { Badge, type Tone } from "@/ui/badge";
import { type Column, Grid } from "@/ui/grid";
import { Empty, Failed, Loading } from "@/ui/states";
import { Time } from "@/ui/time";

const TONES: Record<string, Tone> = {
  activated: "allow",
  refused: "deny",
  rollout_promoted: "accent",
  rollout_started: "accent",
  rollout_dropped: "warn",
};

export function Changes() {
  const changes = useQuery(policyChanges);
  const columns = useMemo<Column<PolicyChange>[]>(
    () => [
      {
        id: "at",
        header: "Time",
        width: "8rem",
        cell: (change) => <Time at={change.at} className="tabular text-muted" />,
        sortBy: (change) => change.at,
      },
      {
        id: "kind",
        header: "What",
        width: "8rem",
        cell: (change) => (
          <Badge tone={TONES[change.kind] ?? "neutral"}>{change.kind.replaceAll("_", " ")}</Badge>
        ),
        sortBy: (change) => change.kind,
      },
      {
        id: "revision",
        header: "Revision or path",
        width: "minmax(9rem, 2fr)",
        cell: (change) => (
          <code className="font-mono text-xs">{change.path ?? change.revision}</code>
        ),
        sortBy: (change) => change.path ?? change.revision ?? "",
      },
      {
        id: "actor",
        header: "By",
        width: "minmax(7rem, 2fr)",
        cell: (change) =>
          change.author ? (
            <span title={change.actor}>{change.author}</span>
          ) : (
            <Actor id={change.actor} />
          ),
        from: 600,
      },
      {
        id: "detail",
        header: "Why",
        width: "minmax(8rem, 3fr)",
        cell: (change) => (
          <span title={change.detail ?? undefined}>
            {change.reason ?? change.detail ?? <span className="text-faint">not stated</span>}
          </span>
        ),
        from: 760,
      },
    ],
    [],
  );
  if (changes.isError)
    return (
      <Failed
        error={changes.error}
        what="The changes"
        capability="seePolicy"
        retry={() => void changes.refetch()}
      />
    );
  if (changes.isPending) return <Loading what="The changes" />;
  if (changes.data.items.length === 0) return <Empty title="Policy was never changed" />;
  return (
    <Grid<PolicyChange>
      label="Changes of policy"
      columns={columns}
      rows={changes.data.items}
      rowKey={({ id }) => id}
    />
  );
}
