"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, RotateCw, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Actor } from "@/access/actor";
import { allTools } from "@/api/tools";
import { addUpstream, allUpstreams, removeUpstream, type Upstream } from "@/api/upstreams";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { cn } from "@/ui/class-names";
import { Json } from "@/ui/code";
import { Dialog } from "@/ui/dialog";
import { Field, Input, Suggest } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { TextLink } from "@/ui/link";
import { Fact, Facts } from "@/ui/panel";
import { Split } from "@/ui/split";
import { Empty, Failed, Forbidden, Loading, ProblemNote } from "@/ui/states";
import { Time } from "@/ui/time";
import { href, useUrlState } from "@/ui/url-state";
import { shownUpstream, transportText } from "./state";

function State({ upstream }: { upstream: Upstream }) {
  const { text, tone } = shownUpstream(upstream);
  return <Badge tone={tone}>{text}</Badge>;
}

const COLUMNS: Column<Upstream>[] = [
  {
    id: "name",
    header: "Upstream",
    width: "minmax(9rem, 2fr)",
    cell: (upstream) => (
      <>
        <span className="text-faint">{upstream.tenant_slug}/</span>
        <span className="font-medium">{upstream.name}</span>
      </>
    ),
    sortBy: (upstream) => `${upstream.tenant_slug}/${upstream.name}`,
  },
  {
    id: "state",
    header: "State",
    width: "6rem",
    cell: (upstream) => <State upstream={upstream} />,
    sortBy: (upstream) => upstream.status?.state ?? "",
  },
  {
    id: "transport",
    header: "Transport",
    width: "minmax(8rem, 3fr)",
    cell: (upstream) => (
      <code className="font-mono text-xs text-muted">{transportText(upstream)}</code>
    ),
    from: 700,
  },
  {
    id: "calls",
    header: "In flight",
    width: "4.5rem",
    align: "right",
    cell: (upstream) => <span className="tabular">{upstream.status?.in_flight ?? "–"}</span>,
    sortBy: (upstream) => upstream.status?.in_flight ?? -1,
    from: 460,
  },
  {
    id: "latency",
    header: "Latency",
    width: "5rem",
    align: "right",
    cell: (upstream) => (
      <span className="tabular">
        {upstream.status?.latency_ms == null ? "–" : `${upstream.status.latency_ms} ms`}
      </span>
    ),
    sortBy: (upstream) => upstream.status?.latency_ms ?? -1,
    from: 620,
  },
  {
    id: "restarts",
    header: "Restarts",
    width: "4.5rem",
    align: "right",
    cell: (upstream) => <span className="tabular">{upstream.status?.restarts ?? "–"}</span>,
    sortBy: (upstream) => upstream.status?.restarts ?? -1,
    from: 760,
  },
  {
    id: "defects",
    header: "Defects",
    width: "4.5rem",
    align: "right",
    cell: (upstream) =>
      upstream.defects?.length ? (
        <Badge tone="warn">{upstream.defects.length}</Badge>
      ) : (
        <span className="text-faint">none</span>
      ),
    sortBy: (upstream) => upstream.defects?.length ?? 0,
    from: 820,
  },
];

export function UpstreamsPage() {
  const maySee = useMay("seeUpstreams");
  return maySee ? <Upstreams /> : <Forbidden capability="seeUpstreams" />;
}

function Upstreams() {
  const [query, set] = useUrlState();
  const upstreams = useQuery(allUpstreams);
  const mayChange = useMay("changeUpstreams");
  const [adding, setAdding] = useState(false);
  const open = upstreams.data?.items.find(({ id }) => id === query.get("open"));
  return (
    <>
      <div className="flex items-center gap-2 border-b bg-panel px-3 py-2">
        <p className="min-w-0 flex-1 text-muted">
          MCP servers behind the gateway. Each call of their tools is decided by policy.
        </p>
        <Button size="sm" disabled={upstreams.isFetching} onClick={() => void upstreams.refetch()}>
          <RotateCw aria-hidden className={cn(upstreams.isFetching && "animate-spin")} /> Read again
        </Button>
        {mayChange && (
          <Button kind="primary" onClick={() => setAdding(true)}>
            <Plus aria-hidden /> Add
          </Button>
        )}
      </div>
      <Split
        title={open ? `${open.tenant_slug}/${open.name}` : null}
        onClose={() => set({ open: null })}
        detail={
          open ? (
            <UpstreamDetail key={open.id} upstream={open} onRemoved={() => set({ open: null })} />
          ) : null
        }
      >
        {upstreams.isError ? (
          <Failed
            error={upstreams.error}
            what="The upstreams"
            capability="seeUpstreams"
            retry={() => void upstreams.refetch()}
          />
        ) : upstreams.isPending ? (
          <Loading what="The upstreams" />
        ) : upstreams.data.items.length === 0 ? (
          <Empty title="No upstream is behind the gateway">
            Add an MCP server; its tools are registered and pinned when they are first listed.
          </Empty>
        ) : (
          <Grid<Upstream>
            label="Upstreams"
            columns={COLUMNS}
            rows={upstreams.data.items}
            rowKey={({ id }) => id}
            onOpen={({ id }) => set({ open: id })}
            openKey={open?.id ?? null}
          />
        )}
      </Split>
      {adding && <AddDialog onClose={() => setAdding(false)} />}
    </>
  );
}

function UpstreamDetail({ upstream, onRemoved }: { upstream: Upstream; onRemoved(): void }) {
  const mayChange = useMay("changeUpstreams");
  const queries = useQueryClient();
  const tools = useQuery(allTools);
  const [typed, setTyped] = useState("");
  const remove = useMutation({
    mutationFn: () => removeUpstream(upstream.id),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["upstreams"] });
      onRemoved();
    },
  });
  const its = tools.data?.items.filter(({ pin }) => pin?.upstream_id === upstream.id) ?? [];
  const { status } = upstream;
  return (
    <div className="flex flex-col gap-4 p-3">
      <Facts>
        <Fact name="State">
          <State upstream={upstream} />
          {status && (
            <span className="ml-2 text-muted">
              since <Time at={status.since} />
            </span>
          )}
        </Fact>
        {status?.last_error && (
          <Fact name="Last error">
            <span className="text-deny">{status.last_error}</span>
          </Fact>
        )}
        {status?.revision && <Fact name="MCP revision">{status.revision}</Fact>}
        <Fact name="Calls in flight">{status?.in_flight ?? "unknown"}</Fact>
        <Fact name="Added">
          <Time at={upstream.created_at} /> by <Actor id={upstream.created_by} />
        </Fact>
      </Facts>
      <Json value={upstream.transport} label="transport" />
      {upstream.defects && upstream.defects.length > 0 && (
        <section>
          <h3 className="mb-1 text-xs font-medium text-muted">Defects of its tools</h3>
          <ul className="flex flex-col gap-1">
            {upstream.defects.map((defect) => (
              <li key={`${defect.tool} ${defect.reason}`}>
                <code className="font-mono text-xs">{defect.tool}</code>{" "}
                <Badge tone="warn">{defect.reason}</Badge> {defect.detail}
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h3 className="mb-1 text-xs font-medium text-muted">Its tools ({its.length})</h3>
        <ul className="flex flex-col gap-1">
          {its.map((tool) => (
            <li key={tool.id} className="flex items-center gap-2">
              <TextLink href={href("/tools/", { open: tool.id, tab: "definition" })}>
                {tool.name}
              </TextLink>
              {tool.pin?.quarantine && <Badge tone="warn">quarantined</Badge>}
            </li>
          ))}
        </ul>
      </section>
      {mayChange && (
        <form
          className="flex flex-col gap-2 border-t pt-3"
          onSubmit={(event) => {
            event.preventDefault();
            if (typed === upstream.name) remove.mutate();
          }}
        >
          <Field
            label="Remove it"
            hint={`Its calls are cut and its tools denied. Type ${upstream.name} to confirm.`}
          >
            {(field) => (
              <Input
                {...field}
                value={typed}
                autoComplete="off"
                onChange={(event) => setTyped(event.target.value)}
              />
            )}
          </Field>
          {remove.isError && <ProblemNote error={remove.error} />}
          <Button
            kind="dangerGhost"
            type="submit"
            className="self-start"
            disabled={typed !== upstream.name || remove.isPending}
          >
            <Trash2 aria-hidden /> Remove the upstream
          </Button>
        </form>
      )}
    </div>
  );
}

type Transport = "http" | "sse" | "stdio";

function AddDialog({ onClose }: { onClose(): void }) {
  const queries = useQueryClient();
  const tools = useQuery(allTools);
  const [kind, setKind] = useState<Transport>("http");
  const [values, setValues] = useState({ tenant: "", name: "", address: "" });
  const add = useMutation({
    mutationFn: () => {
      const address = values.address.trim();
      const transport =
        kind === "stdio"
          ? { stdio: { command: address.split(/\s+/) } }
          : { [kind]: { url: address } };
      return addUpstream({
        tenant_slug: values.tenant.trim(),
        name: values.name.trim(),
        transport,
      });
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["upstreams"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    add.mutate();
  };
  const tenants = [...new Set(tools.data?.items.map(({ tenant_slug }) => tenant_slug))].sort();
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Add an upstream"
      description="Credentials are references to the server's environment: add such an upstream with the CLI."
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Tenant">
            {(field) => (
              <Suggest
                {...field}
                required
                options={tenants}
                value={values.tenant}
                onChange={(event) => setValues({ ...values, tenant: event.target.value })}
              />
            )}
          </Field>
          <Field label="Name" hint="Its tools are called name__tool.">
            {(field) => (
              <Input
                {...field}
                required
                pattern="[a-z0-9]+(-[a-z0-9]+)*"
                maxLength={32}
                value={values.name}
                onChange={(event) => setValues({ ...values, name: event.target.value })}
              />
            )}
          </Field>
        </div>
        <Choice<Transport>
          label="Transport"
          className="self-start"
          value={kind}
          onChange={setKind}
          options={[
            { value: "http", label: "Streamable HTTP" },
            { value: "sse", label: "HTTP with SSE" },
            { value: "stdio", label: "Command" },
          ]}
        />
        <Field
          label={kind === "stdio" ? "Command" : "Address"}
          hint={
            kind === "stdio"
              ? "Run on the server; the configuration has to list it, word for word."
              : undefined
          }
        >
          {(field) => (
            <Input
              {...field}
              required
              spellCheck={false}
              className="font-mono"
              type={kind === "stdio" ? "text" : "url"}
              placeholder={
                kind === "stdio"
                  ? "mcp-server-time --local-timezone=UTC"
                  : "https://mcp.example.com/mcp"
              }
              value={values.address}
              onChange={(event) => setValues({ ...values, address: event.target.value })}
            />
          )}
        </Field>
        {add.isError && <ProblemNote error={add.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={add.isPending}>
            Add
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
