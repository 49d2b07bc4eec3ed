"use client";

import { useQuery } from "@tanstack/react-query";
import { Check, CircleDashed, CircleHelp, OctagonX } from "lucide-react";
import type { ReactNode } from "react";
import { Actor } from "@/access/actor";
import { type Decision, decisionOf } from "@/api/decisions";
import { killsInForce } from "@/api/kills";
import { manifestsOfDecision } from "@/api/manifests";
import { inWords, targetOf } from "@/kills/target";
import { useMay } from "@/session/store";
import { cn } from "@/ui/class-names";
import { Json } from "@/ui/code";
import { CopyButton, Id } from "@/ui/copy";
import { TextLink } from "@/ui/link";
import { duration, grouped } from "@/ui/number";
import { Fact, Facts } from "@/ui/panel";
import { Failed, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { href } from "@/ui/url-state";
import { asCurl, asRegoTest } from "./commands";
import { Remedy } from "./remedy";
import { MEANINGS, type Outcome, outcomes, type Step } from "./steps";
import { Verdict } from "./verdict";

/** Why a call was decided as it was, in one screen. */
export function Explanation({ id }: { id: string }) {
  const query = useQuery(decisionOf(id));
  if (query.isPending) return <Loading what="The decision" rows={10} />;
  if (query.isError) {
    return (
      <Failed
        error={query.error}
        what="The decision"
        capability="seeDecisions"
        retry={() => void query.refetch()}
      />
    );
  }
  return <Explained decision={query.data} />;
}

function Explained({ decision }: { decision: Decision }) {
  const denied = decision.decision !== "allow";
  return (
    <div className="flex flex-col gap-4 p-3">
      <section
        aria-label="Outcome"
        className={cn("rounded-md px-3 py-2.5", denied ? "bg-deny-soft" : "bg-allow-soft")}
      >
        <div className="flex flex-wrap items-center gap-2">
          <Verdict decision={decision.decision} />
          <code className="font-mono text-xs">{decision.code}</code>
          <Time at={decision.created_at} className="ml-auto text-xs text-muted" />
        </div>
        <p className="mt-1.5 text-base font-medium">{decision.reason}</p>
        <p className="mt-0.5 text-muted">{meaning(decision.code)}</p>
        {decision.reasons.length > 0 && (
          <ul className="mt-1.5 flex flex-col gap-0.5">
            {decision.reasons.map((reason) => (
              <li key={`${reason.code} ${reason.msg}`} className="flex gap-2">
                <code className="font-mono text-xs leading-5">{reason.code}</code>
                <span className="text-muted">{reason.msg}</span>
              </li>
            ))}
          </ul>
        )}
      </section>
      {denied && <Remedy decision={decision} />}
      <StepList decision={decision} />
      <Call decision={decision} />
      <Manifests decision={decision} />
      <div className="flex flex-wrap gap-2">
        <CopyButton
          text={asCurl(decision, window.location.origin)}
          label="Copy the check as a curl command"
        >
          Copy as curl
        </CopyButton>
        <CopyButton
          text={asRegoTest(decision)}
          label="Copy a test of the policy that expects this decision"
        >
          Copy as policy test
        </CopyButton>
        <CopyButton
          text={`${window.location.origin}${href("/decisions/", { open: decision.id })}`}
          label="Copy a link to this decision"
        >
          Copy link
        </CopyButton>
      </div>
      <details>
        <summary className="text-xs text-muted">The record as it is stored</summary>
        <div className="mt-2">
          <Json value={decision} label="the record" />
        </div>
      </details>
    </div>
  );
}

const MARKS: Record<Outcome, [icon: typeof Check, color: string, word: string]> = {
  passed: [Check, "text-allow", "passed"],
  stopped: [OctagonX, "text-deny", "stopped here"],
  not_reached: [CircleDashed, "text-faint", "not reached"],
  unknown: [CircleHelp, "text-warn", "not known"],
};

function StepList({ decision }: { decision: Decision }) {
  const result = outcomes(decision);
  const lines: [Step, string, ReactNode][] = [
    ["caller", "Caller", <CallerLine key="caller" decision={decision} />],
    ["tool", "Tool", `${decision.tenant}/${decision.tool}`],
    [
      "kill",
      "Kills",
      <KillLine key="kill" decision={decision} stopped={result.kill === "stopped"} />,
    ],
    [
      "policy",
      "Policy",
      decision.policy_revision ? (
        <Id key="policy" value={decision.policy_revision} />
      ) : (
        "not evaluated"
      ),
    ],
    ["quota", "Quota", quotaLine(decision)],
  ];
  return (
    <section aria-label="Steps of the check">
      <h3 className="mb-1 text-xs font-medium text-muted">How it was decided</h3>
      <ol className="rounded-md border">
        {lines.map(([step, name, about]) => {
          const [Icon, color, word] = MARKS[result[step]];
          return (
            <li
              key={step}
              className="flex min-h-9 items-center gap-2 border-b px-2.5 py-1 last:border-0"
            >
              <Icon aria-hidden className={cn("size-4 shrink-0", color)} />
              <span className="w-14 shrink-0 font-medium">{name}</span>
              <span className="min-w-0 flex-1 truncate text-muted">{about}</span>
              <span className={cn("shrink-0 text-xs", color)}>{word}</span>
            </li>
          );
        })}
      </ol>
      <p className="mt-1 text-xs text-faint">
        Recorded as number {grouped(decision.sequence)} under epoch {decision.epoch}, after{" "}
        {duration(decision.duration_us)}, before it was answered.
      </p>
    </section>
  );
}

function CallerLine({ decision }: { decision: Decision }) {
  return (
    <>
      <Actor id={decision.principal} />
      {decision.agent && ` as agent ${decision.agent}`}
    </>
  );
}

/** The kill that stopped it, if it is still in force. */
function KillLine({ decision, stopped }: { decision: Decision; stopped: boolean }) {
  const maySee = useMay("seeKills");
  const kills = useQuery({ ...killsInForce, enabled: stopped && maySee });
  if (!stopped) return `as of epoch ${decision.epoch}`;
  const covering = (kills.data?.items ?? []).filter((kill) => {
    const target = targetOf(kill);
    return target !== null && decision.reason.endsWith(kill.reason) && kill.epoch <= decision.epoch;
  });
  const first = covering[0] && targetOf(covering[0]);
  if (!first) return kills.isSuccess ? "by a kill that is no longer in force" : "by a kill";
  return <TextLink href="/kills/">kill of {inWords(first)}</TextLink>;
}

function quotaLine(decision: Decision): string {
  const { quota, quota_remaining: left } = decision;
  if (!quota) return "policy states none";
  const remaining = left === null || left === undefined ? "" : `, ${grouped(left)} left`;
  return `${grouped(quota.limit)} per ${quota.window}${remaining}`;
}

function Call({ decision }: { decision: Decision }) {
  const requestId = decision.event_metadata.request_id;
  return (
    <section aria-label="The call">
      <h3 className="mb-1.5 text-xs font-medium text-muted">The call</h3>
      <Facts>
        <Fact name="Tool">
          {decision.tool_id ? (
            <TextLink href={href("/tools/", { open: decision.tool_id })}>
              {decision.tenant}/{decision.tool}
            </TextLink>
          ) : (
            `${decision.tenant}/${decision.tool}`
          )}
        </Fact>
        <Fact name="Action">{decision.action}</Fact>
        <Fact name="Purpose">
          {decision.purpose ?? <span className="text-faint">none stated</span>}
        </Fact>
        <Fact name="Agent">
          {decision.agent ? (
            <TextLink href={href("/decisions/", { agent: decision.agent })}>
              {decision.agent}
            </TextLink>
          ) : (
            <span className="text-faint">none stated</span>
          )}
        </Fact>
        <Fact name="Arguments">
          <Id value={decision.argument_hash} short />
          <span className="block text-xs text-faint">Only their hash is stored.</span>
        </Fact>
        {decision.call_id && (
          <Fact name="Call">
            <Id value={decision.call_id} />
          </Fact>
        )}
        <Fact name="Decision">
          <Id value={decision.id} />
        </Fact>
        {typeof requestId === "string" && (
          <Fact name="Request">
            <Id value={requestId} />
          </Fact>
        )}
        {decision.obligations.length > 0 && (
          <Fact name="Obligations">
            <Json value={decision.obligations} label="obligations" />
          </Fact>
        )}
      </Facts>
    </section>
  );
}

function Manifests({ decision }: { decision: Decision }) {
  const maySee = useMay("seeManifests");
  const manifests = useQuery({ ...manifestsOfDecision(decision.id), enabled: maySee });
  if (!maySee) return null;
  const items = manifests.data?.items ?? [];
  return (
    <section aria-label="Manifests">
      <h3 className="mb-1 text-xs font-medium text-muted">Signed manifests</h3>
      {manifests.isError ? (
        <p className="text-deny">They could not be read.</p>
      ) : items.length === 0 ? (
        <p className="text-faint">{manifests.isPending ? "…" : "None names this decision."}</p>
      ) : (
        <ul>
          {items.map((manifest) => (
            <li key={manifest.id}>
              <TextLink href={href("/provenance/", { open: manifest.id })}>{manifest.id}</TextLink>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function meaning(code: Decision["code"]): string {
  return MEANINGS[code]?.replaceAll("`", "") ?? "A reason code of a later version.";
}
