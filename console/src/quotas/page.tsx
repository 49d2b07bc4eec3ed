"use client";

import { useQuery } from "@tanstack/react-query";
import { RotateCw, Search } from "lucide-react";
import { useMemo } from "react";
import { allQuotas, type QuotaUsage } from "@/api/quotas";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { cn } from "@/ui/class-names";
import { Input } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { TextLink } from "@/ui/link";
import { grouped } from "@/ui/number";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { Time, useNow } from "@/ui/time";
import { href, useUrlState } from "@/ui/url-state";
import { Meter } from "./meter";
import { exhaustedAt, shareOf } from "./pressure";

function Forecast({ quota }: { quota: QuotaUsage }) {
  const now = useNow();
  const at = exhaustedAt(quota, now);
  if (shareOf(quota) === null) return <span className="text-faint">no limit</span>;
  if ((shareOf(quota) ?? 0) >= 1) return <Badge tone="deny">used up</Badge>;
  if (at === null) return <span className="text-muted">lasts the window</span>;
  return (
    <span className="text-warn">
      used up <Time at={new Date(at).toISOString()} relative />
    </span>
  );
}

const COLUMNS: Column<QuotaUsage>[] = [
  {
    id: "tool",
    header: "Tool",
    width: "minmax(9rem, 2fr)",
    cell: (quota) => (
      <TextLink href={href("/tools/", { open: quota.tool_id })}>
        {quota.tenant}/{quota.tool}
      </TextLink>
    ),
    sortBy: (quota) => `${quota.tenant}/${quota.tool}`,
  },
  {
    id: "window",
    header: "Window",
    width: "4.5rem",
    cell: (quota) => quota.window,
    sortBy: (quota) => quota.window,
    from: 520,
  },
  {
    id: "use",
    header: "Used",
    width: "minmax(6rem, 2fr)",
    cell: (quota) => <Meter quota={quota} bare />,
    sortBy: (quota) => shareOf(quota) ?? -1,
  },
  {
    id: "usage",
    header: "Allows",
    width: "5rem",
    align: "right",
    cell: (quota) => <span className="tabular">{grouped(quota.usage)}</span>,
    sortBy: (quota) => quota.usage,
  },
  {
    id: "limit",
    header: "Limit",
    width: "5rem",
    align: "right",
    cell: (quota) => (
      <span className="tabular">
        {quota.limit === null || quota.limit === undefined ? "–" : grouped(quota.limit)}
      </span>
    ),
    sortBy: (quota) => quota.limit ?? Number.MAX_SAFE_INTEGER,
    from: 460,
  },
  {
    id: "forecast",
    header: "At this pace",
    width: "9rem",
    cell: (quota) => <Forecast quota={quota} />,
    from: 700,
  },
  {
    id: "resets",
    header: "Starts again",
    width: "7rem",
    cell: (quota) => <Time at={quota.resets_at} relative className="text-muted" />,
    sortBy: (quota) => quota.resets_at,
    from: 820,
  },
  {
    id: "denies",
    header: "",
    width: "7rem",
    align: "right",
    cell: (quota) => (
      <TextLink
        href={href("/decisions/", {
          tenant: quota.tenant,
          tool: quota.tool,
          code: "quota_exceeded",
        })}
      >
        denied calls
      </TextLink>
    ),
    from: 900,
  },
];

export function QuotasPage() {
  const maySee = useMay("seeQuotas");
  return maySee ? <Quotas /> : <Forbidden capability="seeQuotas" />;
}

function Quotas() {
  const [query, set] = useUrlState();
  const quotas = useQuery(allQuotas);
  const text = query.get("q") ?? "";
  const tenant = query.get("tenant") ?? "";
  const tool = query.get("tool") ?? "";
  const rows = useMemo(
    () =>
      (quotas.data?.items ?? [])
        .filter(
          (quota) =>
            (tenant === "" || quota.tenant === tenant) &&
            (tool === "" || quota.tool === tool) &&
            `${quota.tenant}/${quota.tool}`.includes(text.toLowerCase()),
        )
        .sort((a, b) => (shareOf(b) ?? -1) - (shareOf(a) ?? -1)),
    [quotas.data, text, tenant, tool],
  );
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <div className="relative min-w-40 max-w-md flex-1">
          <Search aria-hidden className="absolute left-2.5 top-2 size-4 text-faint" />
          <Input
            data-search
            aria-label="Search quotas"
            className="pl-8"
            placeholder="Tenant or tool"
            value={text}
            onChange={(event) => set({ q: event.target.value })}
          />
        </div>
        {(tenant || tool) && (
          <Button size="sm" onClick={() => set({ tenant: null, tool: null })}>
            {[tenant, tool].filter(Boolean).join("/")}: show all
          </Button>
        )}
        <span className="ml-auto text-xs text-faint">
          {quotas.dataUpdatedAt > 0 && (
            <>
              read <Time at={new Date(quotas.dataUpdatedAt).toISOString()} relative />
            </>
          )}
        </span>
        <Button size="sm" disabled={quotas.isFetching} onClick={() => void quotas.refetch()}>
          <RotateCw aria-hidden className={cn(quotas.isFetching && "animate-spin")} /> Read again
        </Button>
      </div>
      {quotas.isError ? (
        <Failed
          error={quotas.error}
          what="The quotas"
          capability="seeQuotas"
          retry={() => void quotas.refetch()}
        />
      ) : quotas.isPending ? (
        <Loading what="The quotas" rows={10} />
      ) : rows.length === 0 ? (
        <Empty title="Nothing is counted in the windows under way">
          A quota appears with its first allow. The policy states the limits.
        </Empty>
      ) : (
        <Grid<QuotaUsage>
          label="Quotas"
          columns={COLUMNS}
          rows={rows}
          rowKey={(quota) => `${quota.tool_id} ${quota.window} ${quota.window_start}`}
        />
      )}
    </>
  );
}
