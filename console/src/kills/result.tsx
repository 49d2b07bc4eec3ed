"use client";

import { ShieldX } from "lucide-react";
import type { KillAnswer } from "@/api/kills";
import { Button } from "@/ui/button";
import { Id } from "@/ui/copy";
import { grouped } from "@/ui/number";
import { Fact, Facts, Panel } from "@/ui/panel";
import { inWords, type Target } from "./target";

type Reached = KillAnswer["reached"];

/** What each number counts, and what `null` means: it was not counted, which is not zero. */
export function reachedFigures(reached: Reached): [name: string, value: string, about: string][] {
  const shown = (value: number | null | undefined) =>
    value === null || value === undefined ? "not counted" : grouped(value);
  return [
    ["Replicas", shown(reached.replicas), "servers that the kill's epoch binds"],
    [
      "Event streams",
      shown(reached.streams),
      "adapters, gateways and consoles told by this server",
    ],
    ["Permits", shown(reached.permits), "issued, not yet redeemed, and now void"],
    ["Calls cut", shown(reached.calls), "in flight through this server's gateway"],
    ["Not confirmed", shown(reached.calls_unconfirmed), "of those, had not ended after 100 ms"],
    [
      "Calls elsewhere",
      shown(reached.calls_elsewhere),
      "made by others with permits, such as wrapped servers",
    ],
  ];
}

interface Props {
  answer: KillAnswer;
  target: Target;
  tookMs: number;
  onClose(): void;
}

export function KillResult({ answer, target, tookMs, onClose }: Props) {
  return (
    <Panel
      title={
        <span className="inline-flex items-center gap-2 text-deny">
          <ShieldX aria-hidden className="size-4" /> Killed: {inWords(target)}
        </span>
      }
      actions={
        <Button size="sm" onClick={onClose}>
          Stop something else
        </Button>
      }
      bodyClassName="flex flex-col gap-4"
    >
      <p role="status">
        Answered after <b className="tabular">{tookMs.toFixed(0)} ms</b>. No replica allows a
        covered call that was sent after that.
      </p>
      <dl className="grid gap-2 sm:grid-cols-3 xl:grid-cols-6">
        {reachedFigures(answer.reached).map(([name, value, about]) => (
          <div key={name} className="rounded-md bg-raised px-3 py-2">
            <dt className="text-xs text-muted">{name}</dt>
            <dd>
              <span className="tabular block text-xl font-semibold">{value}</span>
              <span className="block text-2xs text-muted">{about}</span>
            </dd>
          </div>
        ))}
      </dl>
      <Facts>
        <Fact name="Tools affected">
          {answer.affected_tools.length === 0
            ? "none at the moment"
            : `${answer.affected_tools.slice(0, 20).join(", ")}${answer.affected_count > 20 ? ` and ${grouped(answer.affected_count - 20)} more` : ""}`}
        </Fact>
        <Fact name="Epoch">
          <span className="tabular">{answer.epoch}</span>
        </Fact>
        <Fact name="Kill">
          {answer.kills.map((id) => (
            <Id key={id} value={id} />
          ))}
        </Fact>
      </Facts>
    </Panel>
  );
}
