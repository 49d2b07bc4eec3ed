"use client";

import { useQuery } from "@tanstack/react-query";
import { Plus, Search, X } from "lucide-react";
import { useMemo, useState } from "react";
import { allTools, type Tool } from "@/api/tools";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Input, Select } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { counted, grouped } from "@/ui/number";
import { Split } from "@/ui/split";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { useUrlState } from "@/ui/url-state";
import { Views } from "@/ui/views";
import { ToolActions } from "./actions";
import { HealthBadge, StateBadge } from "./badges";
import { ToolDetail } from "./detail";
import { RegisterDialog } from "./form";
import { fitsTool, readToolFilter, STATES, stateOf } from "./state";

const COLUMNS: Column<Tool>[] = [
  {
    id: "name",
    header: "Tool",
    width: "minmax(10rem, 3fr)",
    cell: (tool) => (
      <span title={`${tool.tenant_slug}/${tool.name}`}>
        <span className="text-faint">{tool.tenant_slug}/</span>
        <span className="font-medium">{tool.name}</span>
      </span>
    ),
    sortBy: (tool) => `${tool.tenant_slug}/${tool.name}`,
  },
  {
    id: "state",
    header: "State",
    width: "7rem",
    cell: (tool) => <StateBadge tool={tool} />,
    sortBy: (tool) => stateOf(tool),
  },
  {
    id: "health",
    header: "Health",
    width: "6.5rem",
    cell: (tool) => <HealthBadge tool={tool} />,
    sortBy: (tool) => tool.health?.status ?? "",
    from: 560,
  },
  {
    id: "owner",
    header: "Owner",
    width: "minmax(7rem, 2fr)",
    cell: (tool) => <span className="text-muted">{tool.owner}</span>,
    sortBy: (tool) => tool.owner,
    from: 700,
  },
  {
    id: "scopes",
    header: "Scopes",
    width: "minmax(7rem, 2fr)",
    cell: (tool) => (
      <span className="flex gap-1 overflow-hidden">
        {tool.scopes.map((scope) => (
          <Badge key={scope}>{scope}</Badge>
        ))}
      </span>
    ),
    from: 900,
  },
  {
    id: "source",
    header: "Source",
    width: "6.5rem",
    cell: (tool) => <span className="text-muted">{tool.pin ? "upstream" : "registered"}</span>,
    sortBy: (tool) => (tool.pin ? 1 : 0),
    from: 1040,
  },
  {
    id: "updated",
    header: "Changed",
    width: "8rem",
    align: "right",
    cell: (tool) => <Time at={tool.updated_at} className="text-muted" />,
    sortBy: (tool) => tool.updated_at,
    from: 800,
  },
];

export function ToolsPage() {
  const maySee = useMay("seeTools");
  return maySee ? <Tools /> : <Forbidden capability="seeTools" />;
}

function Tools() {
  const [query, set] = useUrlState();
  const tools = useQuery(allTools);
  const mayRegister = useMay("registerTool");
  const [registering, setRegistering] = useState(false);
  const filter = readToolFilter(query);
  const selection = JSON.stringify(filter);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `selection` is the filter
  const rows = useMemo(
    () => tools.data?.items.filter((tool) => fitsTool(tool, filter)) ?? [],
    [tools.data, selection],
  );
  const open = tools.data?.items.find(({ id }) => id === query.get("open"));
  const tenants = [...new Set(tools.data?.items.map(({ tenant_slug }) => tenant_slug))].sort();
  const count = (state: string) =>
    tools.data?.items.filter((tool) => stateOf(tool) === state).length ?? 0;

  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <div className="relative min-w-40 flex-1 basis-52">
          <Search aria-hidden className="absolute left-2.5 top-2 size-4 text-faint" />
          <Input
            data-search
            aria-label="Search tools"
            className="pl-8"
            placeholder="Name, owner, address, scope, metadata…"
            value={filter.text}
            onChange={(event) => set({ q: event.target.value })}
          />
        </div>
        <Select
          aria-label="Tenant"
          className="max-w-44"
          value={filter.tenant}
          onChange={(event) => set({ tenant: event.target.value })}
        >
          <option value="">Every tenant</option>
          {tenants.map((tenant) => (
            <option key={tenant}>{tenant}</option>
          ))}
        </Select>
        <Choice
          label="State"
          value={filter.state === "" ? "all" : filter.state}
          onChange={(state) => set({ state: state === "all" ? null : state })}
          options={[
            { value: "all", label: "All" },
            ...STATES.map((value) => ({
              value: value as string,
              label: `${value} ${grouped(count(value))}`,
            })),
          ]}
        />
        <Select
          aria-label="Health"
          className="max-w-36"
          value={filter.health}
          onChange={(event) => set({ health: event.target.value })}
        >
          <option value="">Any health</option>
          {["healthy", "unhealthy", "refused", "not checked", "no check"].map((health) => (
            <option key={health}>{health}</option>
          ))}
        </Select>
        <div className="ml-auto flex gap-2">
          {selection !== JSON.stringify(readToolFilter(new URLSearchParams())) && (
            <Button
              size="sm"
              kind="ghost"
              onClick={() => set({ q: null, tenant: null, state: null, health: null })}
            >
              <X aria-hidden /> Clear
            </Button>
          )}
          <Views page="tools" />
          {mayRegister && (
            <Button kind="primary" onClick={() => setRegistering(true)}>
              <Plus aria-hidden /> Register
            </Button>
          )}
        </div>
      </div>
      <Split
        title={open ? `${open.tenant_slug}/${open.name}` : null}
        onClose={() => set({ open: null, tab: null })}
        actions={open ? <ToolActions tool={open} /> : null}
        detail={
          open ? (
            <ToolDetail
              key={open.id}
              tool={open}
              tab={query.get("tab") ?? "about"}
              onTab={(tab) => set({ tab })}
            />
          ) : null
        }
      >
        {tools.isError ? (
          <Failed
            error={tools.error}
            what="The tools"
            capability="seeTools"
            retry={() => void tools.refetch()}
          />
        ) : tools.isPending ? (
          <Loading what="The tools" rows={12} />
        ) : rows.length === 0 ? (
          <NoTools filtered={tools.data.items.length > 0} />
        ) : (
          <Grid<Tool>
            label="Tools"
            columns={COLUMNS}
            rows={rows}
            rowKey={(tool) => tool.id}
            onOpen={(tool) => set({ open: tool.id })}
            openKey={open?.id ?? null}
            footer={
              <p className="px-3 py-2 text-xs text-faint">
                {counted(rows.length, "tool")}
                {tools.data.more && "; the registry has more than this page reads"}
              </p>
            }
          />
        )}
      </Split>
      {registering && (
        <RegisterDialog
          tenants={tenants}
          onClose={() => setRegistering(false)}
          onDone={(tool) => {
            setRegistering(false);
            set({ open: tool.id });
          }}
        />
      )}
    </>
  );
}

function NoTools({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty title="No tool fits these filters">
      Retired tools are shown only when their state is chosen.
    </Empty>
  ) : (
    <Empty title="No tool is registered">
      Register one, or add an upstream: its tools are registered when they are first listed. A call
      of a tool that is not registered is denied.
    </Empty>
  );
}
