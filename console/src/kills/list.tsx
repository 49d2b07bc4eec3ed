"use client";

import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Actor } from "@/access/actor";
import { type Kill, killHistory, killsInForce } from "@/api/kills";
import { useConfirmed } from "@/live/live";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { type Column, Grid } from "@/ui/grid";
import { Empty, Failed, Loading } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { Time } from "@/ui/time";
import { KillDialog } from "./kill-dialog";
import { RestoreDialog } from "./restore";
import { inWords, targetOf } from "./target";

function StateBadge({ kill }: { kill: Kill }) {
  if (kill.state === "in_force") return <Badge tone="danger">in force</Badge>;
  if (kill.state === "scheduled") return <Badge tone="warn">scheduled</Badge>;
  return <Badge>{kill.restored_by ? "restored" : "ended"}</Badge>;
}

/** A kill whose scope this console does not know is shown as the server named it. */
export function targetText(kill: Kill): string {
  const target = targetOf(kill);
  return target ? inWords(target) : `${kill.scope} ${kill.label ?? ""}`;
}

function End({ kill }: { kill: Kill }) {
  if (kill.restored_at) return <Time at={kill.restored_at} />;
  if (kill.expires_at) return <Time at={kill.expires_at} relative className="text-warn" />;
  return <span className="text-faint">by restore</span>;
}

const COLUMNS: Column<Kill>[] = [
  {
    id: "state",
    header: "State",
    width: "5.5rem",
    cell: (kill) => <StateBadge kill={kill} />,
    sortBy: (kill) => kill.state,
  },
  {
    id: "target",
    header: "Stops",
    width: "minmax(10rem, 3fr)",
    cell: (kill) => <span className="font-medium">{targetText(kill)}</span>,
    sortBy: targetText,
  },
  {
    id: "reason",
    header: "Reason",
    width: "minmax(8rem, 2fr)",
    cell: (kill) => <span title={kill.reason}>{kill.reason}</span>,
    sortBy: (kill) => kill.reason,
    from: 560,
  },
  {
    id: "actor",
    header: "By",
    width: "minmax(6rem, 1fr)",
    cell: (kill) => <Actor id={kill.actor} />,
    from: 760,
  },
  {
    id: "since",
    header: "Since",
    width: "8.5rem",
    cell: (kill) => <Time at={kill.starts_at ?? kill.created_at} />,
    sortBy: (kill) => kill.starts_at ?? kill.created_at,
    from: 640,
  },
  {
    id: "end",
    header: "Ends or ended",
    width: "8.5rem",
    cell: (kill) => <End kill={kill} />,
    from: 900,
  },
  {
    id: "epoch",
    header: "Epoch",
    width: "4rem",
    align: "right",
    cell: (kill) => <span className="tabular">{kill.epoch}</span>,
    sortBy: (kill) => kill.epoch,
    from: 1000,
  },
];

export function KillList() {
  const [tab, setTab] = useState("in_force");
  const [restoring, setRestoring] = useState<Kill | null>(null);
  const [opened, setOpened] = useState<Kill | null>(null);
  const mayRestore = useMay("restore");
  const confirmed = useConfirmed();
  const inForce = useQuery(killsInForce);
  const history = useQuery(killHistory);
  const scheduled = history.data?.items.filter(({ state }) => state === "scheduled") ?? [];
  const query = tab === "in_force" ? inForce : history;
  const rows = tab === "scheduled" ? scheduled : (query.data?.items ?? []);
  const columns = useMemo<Column<Kill>[]>(
    () => [
      ...COLUMNS,
      {
        id: "restore",
        header: "",
        width: "5rem",
        align: "right",
        cell: (kill) =>
          kill.state !== "ended" && mayRestore ? (
            <Button
              size="sm"
              onClick={(event) => {
                event.stopPropagation();
                setRestoring(kill);
              }}
            >
              {kill.state === "scheduled" ? "Cancel" : "Restore"}
            </Button>
          ) : null,
      },
    ],
    [mayRestore],
  );
  const count = (value: number | undefined) => (value === undefined ? "" : ` ${value}`);
  return (
    <section
      aria-label="Kills"
      className="flex min-h-80 flex-1 flex-col rounded-lg border bg-panel"
    >
      <Tabs
        label="Kills"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: "in_force", label: `In force${count(inForce.data?.items.length)}` },
          { value: "scheduled", label: `Scheduled${count(history.data && scheduled.length)}` },
          { value: "all", label: "History" },
        ]}
      >
        {query.isError ? (
          <Failed
            error={query.error}
            what="The kills"
            capability="seeKills"
            retry={() => void query.refetch()}
          />
        ) : query.isPending ? (
          <Loading what="The kills" />
        ) : rows.length === 0 ? (
          <NoKills tab={tab} confirmed={confirmed} />
        ) : (
          <Grid<Kill>
            label={`Kills: ${tab.replace("_", " ")}`}
            columns={columns}
            rows={rows}
            rowKey={(kill) => kill.kill_id}
            onOpen={setOpened}
            openKey={opened?.kill_id ?? null}
            footer={
              query.data.more ? (
                <p className="px-3 py-2 text-xs text-faint">
                  Only the latest {query.data.items.length} are shown.
                </p>
              ) : null
            }
          />
        )}
      </Tabs>
      {restoring && <RestoreDialog kill={restoring} onClose={() => setRestoring(null)} />}
      {opened && <KillDialog kill={opened} onClose={() => setOpened(null)} />}
    </section>
  );
}

function NoKills({ tab, confirmed }: { tab: string; confirmed: boolean }) {
  if (tab === "scheduled") return <Empty title="No kill is scheduled" />;
  if (tab === "all") return <Empty title="Nothing was ever killed" />;
  // While disconnected an empty list proves nothing.
  if (!confirmed) return <Empty title="No kill was in force when this was last read" />;
  return (
    <Empty title="No kill is in force">
      Calls are decided by policy and quota. A kill that you make, or anyone else, appears here at
      once.
    </Empty>
  );
}
