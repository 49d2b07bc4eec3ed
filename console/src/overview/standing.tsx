"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { killsInForce } from "@/api/kills";
import { policyStatus } from "@/api/policy";
import { allQuotas } from "@/api/quotas";
import { allUpstreams } from "@/api/upstreams";
import { targetText } from "@/kills/list";
import { useConfirmed } from "@/live/live";
import { Meter } from "@/quotas/meter";
import { shareOf } from "@/quotas/pressure";
import type { Capability } from "@/session/capabilities";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Id } from "@/ui/copy";
import { TextLink } from "@/ui/link";
import { grouped } from "@/ui/number";
import { Fact, Facts, Panel } from "@/ui/panel";
import { Failed, Forbidden, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { shownUpstream } from "@/upstreams/state";

const MOST = 6;

interface StandingProps<T> {
  title: string;
  path: string;
  capability: Capability;
  query: UseQueryResult<T>;
  children(data: T): ReactNode;
}

function Standing<T>({ title, path, capability, query, children }: StandingProps<T>) {
  const may = useMay(capability);
  return (
    <Panel title={title} actions={<TextLink href={path}>all</TextLink>} bodyClassName="min-h-28">
      {!may ? (
        <Forbidden capability={capability} />
      ) : query.isError ? (
        <Failed
          error={query.error}
          what={title}
          capability={capability}
          retry={() => void query.refetch()}
        />
      ) : query.isPending ? (
        <Loading rows={3} what={title} />
      ) : (
        children(query.data)
      )}
    </Panel>
  );
}

export function KillsInForce() {
  const query = useQuery({ ...killsInForce, enabled: useMay("seeKills") });
  const confirmed = useConfirmed();
  return (
    <Standing title="Kills in force" path="/kills/" capability="seeKills" query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="text-muted">{confirmed ? "None." : "None when this was last read."}</p>
        ) : (
          <ul className="flex flex-col gap-1.5">
            {items.slice(0, MOST).map((kill) => (
              <li key={kill.kill_id} className="flex items-baseline gap-2">
                <span className="size-2 shrink-0 rounded-full bg-danger" aria-hidden />
                <span className="min-w-0 flex-1 truncate" title={kill.reason}>
                  {targetText(kill)} <span className="text-faint">{kill.reason}</span>
                </span>
                <Time
                  at={kill.starts_at ?? kill.created_at}
                  relative
                  className="shrink-0 text-xs text-faint"
                />
              </li>
            ))}
            {items.length > MOST && (
              <li className="text-faint">and {grouped(items.length - MOST)} more</li>
            )}
          </ul>
        )
      }
    </Standing>
  );
}

export function QuotaPressure() {
  const query = useQuery({ ...allQuotas, enabled: useMay("seeQuotas") });
  return (
    <Standing title="Quota pressure" path="/quotas/" capability="seeQuotas" query={query}>
      {({ items }) => {
        const pressed = items
          .filter(({ limit }) => limit)
          .sort((a, b) => (shareOf(b) ?? 0) - (shareOf(a) ?? 0));
        if (pressed.length === 0)
          return <p className="text-muted">No quota was used in the windows under way.</p>;
        return (
          <ul className="flex flex-col gap-2">
            {pressed.slice(0, MOST).map((quota) => (
              <li key={`${quota.tool_id} ${quota.window}`}>
                <Meter quota={quota} />
              </li>
            ))}
          </ul>
        );
      }}
    </Standing>
  );
}

export function PolicyInForce() {
  const query = useQuery({ ...policyStatus, enabled: useMay("seePolicy") });
  return (
    <Standing title="Policy" path="/policies/" capability="seePolicy" query={query}>
      {(status) => (
        <div className="flex flex-col gap-2">
          <Facts>
            <Fact name="In force">
              {status.revision ? (
                <Id value={status.revision} />
              ) : (
                <Badge tone="deny">none: everything is denied</Badge>
              )}
            </Fact>
            <Fact name="Engine">{status.engine}</Fact>
            {status.loaded_at && (
              <Fact name="Loaded">
                <Time at={status.loaded_at} />
              </Fact>
            )}
          </Facts>
          {status.error && (
            <p className="rounded-md bg-deny-soft px-2.5 py-1.5 text-deny">
              The latest revision was refused.
            </p>
          )}
        </div>
      )}
    </Standing>
  );
}

export function UpstreamHealth() {
  const query = useQuery({ ...allUpstreams, enabled: useMay("seeUpstreams") });
  return (
    <Standing title="Upstreams" path="/upstreams/" capability="seeUpstreams" query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="text-muted">None is behind the gateway.</p>
        ) : (
          <ul className="flex flex-col gap-1.5">
            {items.slice(0, MOST).map((upstream) => {
              const { text, tone } = shownUpstream(upstream);
              return (
                <li key={upstream.id} className="flex items-center gap-2">
                  <span className="min-w-0 flex-1 truncate">
                    <span className="text-faint">{upstream.tenant_slug}/</span>
                    {upstream.name}
                  </span>
                  <Badge tone={tone}>{text}</Badge>
                </li>
              );
            })}
          </ul>
        )
      }
    </Standing>
  );
}
