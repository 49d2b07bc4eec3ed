"use client";

import { useQuery } from "@tanstack/react-query";
import { RotateCw, ShieldAlert, ShieldCheck, ShieldQuestion } from "lucide-react";
import type { ReactNode } from "react";
import { problemOf } from "@/api/problem";
import { type Readiness, readiness } from "@/api/readiness";
import { useConfirmed, useLive } from "@/live/live";
import { Button } from "@/ui/button";
import { cn } from "@/ui/class-names";
import { Time, useNow } from "@/ui/time";

/** A server tests itself once a minute; three of them missed say that it does not. */
const STALE_MS = 180_000;

/** Whether the kill switch is known to work, and by which test. */
export function SwitchState() {
  const ready = useQuery({ ...readiness, refetchOnMount: "always" });
  const { epoch } = useLive();
  const confirmed = useConfirmed();
  const now = useNow();
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-2 rounded-lg border bg-panel px-3 py-2">
      <Verdict ready={ready.data} error={ready.error} now={now} />
      <Figure name="Epoch">{epoch !== null && confirmed ? epoch : "unknown"}</Figure>
      {ready.data?.selfTest?.passed_at && (
        <Figure name="Last passed">
          <Time at={ready.data.selfTest.passed_at} relative />
        </Figure>
      )}
      <Button
        kind="ghost"
        size="sm"
        className="ml-auto"
        disabled={ready.isFetching}
        onClick={() => void ready.refetch()}
      >
        <RotateCw aria-hidden className={cn(ready.isFetching && "animate-spin")} /> Ask again
      </Button>
    </div>
  );
}

function Figure({ name, children }: { name: string; children: ReactNode }) {
  return (
    <span className="inline-flex items-baseline gap-1.5">
      <span className="text-xs text-faint">{name}</span>
      <span className="tabular">{children}</span>
    </span>
  );
}

type Verdict = { tone: "allow" | "deny" | "warn"; title: string; detail: string };

export function verdictOf(ready: Readiness | undefined, error: unknown, now: number): Verdict {
  if (error) {
    return { tone: "deny", title: "State unknown", detail: problemOf(error).title };
  }
  if (!ready) return { tone: "warn", title: "Asking the server", detail: "" };
  if (!ready.ready) {
    const detail = ready.problem?.detail ?? "the server is not ready";
    const failed = ready.problem?.code === "kill_switch_failed";
    return {
      tone: "deny",
      title: failed ? "The kill switch failed its test" : "Not ready",
      detail,
    };
  }
  if (!ready.selfTest) {
    return {
      tone: "warn",
      title: "Not tested yet",
      detail: "the server tests itself once a minute",
    };
  }
  const passedAt = ready.selfTest.passed_at ? Date.parse(ready.selfTest.passed_at) : Number.NaN;
  if (ready.selfTest.outcome !== "passed") {
    return {
      tone: "deny",
      title: "Self-test not passed",
      detail: ready.selfTest.outcome.replace("_", " "),
    };
  }
  if (!(now - passedAt < STALE_MS)) {
    return {
      tone: "warn",
      title: "Self-test is old",
      detail: "ask again; it should pass once a minute",
    };
  }
  return {
    tone: "allow",
    title: "Self-test passed",
    detail: "a kill of the server's own stopped a call",
  };
}

const ICONS = { allow: ShieldCheck, deny: ShieldAlert, warn: ShieldQuestion };
const COLORS = { allow: "text-allow", deny: "text-deny", warn: "text-warn" };

function Verdict({
  ready,
  error,
  now,
}: {
  ready: Readiness | undefined;
  error: unknown;
  now: number;
}) {
  const { tone, title, detail } = verdictOf(ready, error, now);
  const Icon = ICONS[tone];
  return (
    <span role="status" className="inline-flex items-center gap-2">
      <Icon aria-hidden className={cn("size-5", COLORS[tone])} />
      <span className={cn("font-medium", COLORS[tone])}>{title}</span>
      {detail && <span className="hidden text-muted md:inline">{detail}</span>}
    </span>
  );
}
