"use client";

import { useQuery } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import { shadow } from "@/api/policy";
import { Verdict } from "@/decisions/verdict";
import { Button } from "@/ui/button";
import { grouped } from "@/ui/number";
import { Panel } from "@/ui/panel";
import { Empty, Failed, Loading } from "@/ui/states";
import { Time } from "@/ui/time";

/** How the engine that is only compared answers beside the one that decides. */
export function ShadowState() {
  const state = useQuery(shadow);
  if (state.isError)
    return (
      <Failed
        error={state.error}
        what="The comparison"
        capability="seePolicy"
        retry={() => void state.refetch()}
      />
    );
  if (state.isPending) return <Loading what="The comparison" />;
  const { compared, agreed, disagreed, errors, dropped, disagreements } = state.data;
  if (!compared) {
    return (
      <Empty title="No shadow engine is compared">
        With <code className="font-mono text-xs">policy_engine: shadow</code> a second engine
        answers each call too, without influence.
      </Empty>
    );
  }
  return (
    <div className="min-h-0 flex-1 overflow-y-auto bg-bg p-3">
      <Panel
        title="Since this server started"
        actions={
          <Button size="sm" onClick={() => void state.refetch()}>
            <RotateCw aria-hidden /> Read again
          </Button>
        }
      >
        <p>
          {grouped(agreed)} agreed, {grouped(disagreed)} disagreed, {grouped(errors)} gave no
          answer, {grouped(dropped)} were not compared.
        </p>
        <ul className="mt-3">
          {disagreements.map((each) => (
            <li
              key={`${each.at} ${each.input_hash}`}
              className="flex flex-wrap items-center gap-2 border-b py-1.5"
            >
              <Time at={each.at} className="text-muted" />
              <span className="min-w-0 flex-1">
                {each.tenant}/{each.tool}
              </span>
              decided <Verdict decision={each.decided.allow ? "allow" : "deny"} /> shadow{" "}
              {each.shadow.error ? (
                <span className="text-deny">{each.shadow.error}</span>
              ) : (
                <Verdict decision={each.shadow.allow ? "allow" : "deny"} />
              )}
            </li>
          ))}
        </ul>
      </Panel>
    </div>
  );
}
