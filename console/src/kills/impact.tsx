"use client";

import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useMemo } from "react";
import { type DecisionFilter, latestDecisions } from "@/api/decisions";
import { killsInForce } from "@/api/kills";
import { allTools } from "@/api/tools";
import { stateOf } from "@/tools/state";
import { Badge } from "@/ui/badge";
import { grouped } from "@/ui/number";
import { Panel } from "@/ui/panel";
import { Empty, Failed, Loading } from "@/ui/states";
import {
  coversTool,
  inWords,
  isComplete,
  isWider,
  sameTarget,
  type Target,
  targetOf,
} from "./target";

const MOST_CALLS = 1000;
const HOUR_MS = 3_600_000;

/** What a kill of the target stops, before it does. */
export function Impact({ target: latest }: { target: Target }) {
  const target = useDeferredValue(latest);
  const tools = useQuery(allTools);
  const covered = useMemo(
    () => tools.data?.items.filter((tool) => !tool.retired_at && coversTool(target, tool)) ?? [],
    [tools.data, target],
  );
  if (!isComplete(target)) {
    return (
      <Panel title="What it will stop">
        <Empty title="Nothing chosen yet">
          Choose what to stop: the tools and the calls of the last hour that it covers appear here.
        </Empty>
      </Panel>
    );
  }
  if (tools.isError) {
    return (
      <Panel title="What it will stop">
        <Failed error={tools.error} what="The tools" retry={() => void tools.refetch()} />
      </Panel>
    );
  }
  const some = target.kind === "agent" || target.kind === "principal";
  return (
    <Panel title="What it will stop" about={inWords(target)} bodyClassName="flex flex-col gap-4">
      <AlreadyStopped target={target} />
      <Calls target={target} names={covered.map((tool) => `${tool.tenant_slug}/${tool.name}`)} />
      <div>
        <h3 className="mb-1.5 text-xs font-medium text-muted">
          {some ? "Its calls of these tools" : "Tools"}{" "}
          <span className="text-faint">({tools.data ? grouped(covered.length) : "…"})</span>
        </h3>
        {tools.isPending ? (
          <Loading rows={3} what="What it will stop" />
        ) : covered.length === 0 ? (
          <p className="text-warn">
            {target.kind === "tool"
              ? "The tenant has no such tool: the server will refuse the kill."
              : "No tool at the moment. Tools that get it later are covered."}
          </p>
        ) : (
          <ul className="max-h-52 overflow-y-auto rounded-md border">
            {covered.slice(0, 200).map((tool) => (
              <li
                key={tool.id}
                className="flex items-center gap-2 border-b px-2 py-1 last:border-0"
              >
                <span className="min-w-0 flex-1 truncate">
                  <span className="text-faint">{tool.tenant_slug}/</span>
                  {tool.name}
                </span>
                {!tool.is_active && <Badge tone="deny">{stateOf(tool)} already</Badge>}
              </li>
            ))}
            {covered.length > 200 && (
              <li className="px-2 py-1 text-faint">and {grouped(covered.length - 200)} more</li>
            )}
          </ul>
        )}
      </div>
      {target.kind === "agent" && (
        <p className="text-xs text-faint">
          An agent is held to its name only by a key that is bound to it. With any other key a call
          can state another name, or none.
        </p>
      )}
      {(target.kind === "tenant" || target.kind === "tool_scope" || target.kind === "tool_tag") && (
        <p className="text-xs text-faint">
          Tools that are registered or changed later are covered too.
        </p>
      )}
    </Panel>
  );
}

/** Kills that stop it already, so that a second one adds nothing. */
function AlreadyStopped({ target }: { target: Target }) {
  const kills = useQuery(killsInForce);
  const tools = useQuery(allTools);
  const covering = (kills.data?.items ?? []).flatMap((kill) => {
    const other = targetOf(kill);
    const covers =
      other !== null &&
      (sameTarget(other, target) || isWider(other, target, tools.data?.items ?? []));
    return covers && other ? [{ id: kill.kill_id, text: inWords(other), reason: kill.reason }] : [];
  });
  if (covering.length === 0) return null;
  return (
    <div className="rounded-md bg-warn-soft px-3 py-2 text-warn">
      {covering.map(({ id, text, reason }) => (
        <p key={id}>
          Stopped already by the kill of {text}: {reason}
        </p>
      ))}
    </div>
  );
}

/** The filter of the listing that comes nearest to the target; the rest is selected here. */
function filterFor(target: Target): DecisionFilter {
  return {
    from: new Date(Math.floor(Date.now() / 60_000) * 60_000 - HOUR_MS).toISOString(),
    ...(target.tenant === "" ? {} : { tenant: target.tenant }),
    ...(target.kind === "tool" ? { tool: target.name.trim() } : {}),
    ...(target.kind === "agent" ? { agent: target.name.trim() } : {}),
  };
}

function Calls({ target, names }: { target: Target; names: string[] }) {
  const filter = useMemo(() => filterFor(target), [target]);
  const calls = useQuery(latestDecisions(filter, MOST_CALLS));
  const found = useMemo(() => {
    const tools = new Set(names);
    const name = target.name.trim().toLowerCase();
    return (calls.data?.items ?? []).filter((decision) =>
      target.kind === "principal"
        ? [name, `key:${name}`].includes(decision.principal.toLowerCase())
        : target.kind === "tool_scope" || target.kind === "tool_tag"
          ? tools.has(`${decision.tenant}/${decision.tool}`)
          : true,
    );
  }, [calls.data, names, target]);
  if (calls.isError) return <Failed error={calls.error} what="The calls of the last hour" />;
  const agents = new Set(found.flatMap(({ agent }) => agent ?? []));
  const allowed = found.filter(({ decision }) => decision === "allow").length;
  const more = calls.data?.more ? "+" : "";
  const figures: [string, string][] = [
    ["calls in the last hour", `${grouped(found.length)}${more}`],
    ["of them allowed", `${grouped(allowed)}${more}`],
    ["agents", `${grouped(agents.size)}${more}`],
    ["principals", `${grouped(new Set(found.map(({ principal }) => principal)).size)}${more}`],
  ];
  return (
    <dl className="grid grid-cols-2 gap-2 sm:grid-cols-4 lg:grid-cols-2 xl:grid-cols-4">
      {figures.map(([name, value]) => (
        <div key={name} className="flex flex-col-reverse rounded-md bg-raised px-2.5 py-1.5">
          <dt className="text-2xs text-muted">{name}</dt>
          <dd className="tabular text-lg font-semibold">{calls.isPending ? "…" : value}</dd>
        </div>
      ))}
    </dl>
  );
}
