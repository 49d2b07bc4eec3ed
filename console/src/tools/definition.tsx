"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { driftOf, review, type Tool, type ToolDrift } from "@/api/tools";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Json } from "@/ui/code";
import { Id } from "@/ui/copy";
import { DiffView } from "@/ui/diff-view";
import { Fact, Facts } from "@/ui/panel";
import { Failed, Forbidden, Loading, ProblemNote } from "@/ui/states";
import { Time } from "@/ui/time";
import { notify } from "@/ui/toast";

const CAUSES: Record<string, string> = {
  drift: "The upstream offers another definition than the approved one.",
  unapproved: "The tool is new, and no operator has approved it yet.",
  rejected: "An operator rejected the definition that is offered.",
  upstream_removed: "The upstream that offered it was removed.",
};

/** What the tool was approved as, and what the upstream offers now. */
export function Definition({ tool }: { tool: Tool }) {
  const maySee = useMay("seeDrift");
  const drift = useQuery({ ...driftOf(tool.id), enabled: maySee });
  if (!maySee) return <Forbidden capability="seeDrift" />;
  if (drift.isError) {
    return (
      <Failed
        error={drift.error}
        what="The definition"
        capability="seeDrift"
        retry={() => void drift.refetch()}
      />
    );
  }
  if (drift.isPending) return <Loading what="The definition" />;
  const { quarantine, approved, offered, changed } = drift.data;
  if (!quarantine) {
    return (
      <div className="flex flex-col gap-3">
        <p className="text-muted">The upstream offers what was approved.</p>
        {approved && <Json value={approved.definition} label="the approved definition" />}
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-3">
      <div className="rounded-md bg-warn-soft px-3 py-2">
        <p className="font-medium text-warn">Quarantined: every call is denied</p>
        <p className="text-muted">{CAUSES[quarantine.cause] ?? quarantine.cause}</p>
      </div>
      <Facts>
        <Fact name="Since">
          <Time at={quarantine.since} />
        </Fact>
        {changed.length > 0 && (
          <Fact name="Changed">
            <span className="flex flex-wrap gap-1">
              {changed.map((part) => (
                <Badge key={part} tone="warn">
                  {part}
                </Badge>
              ))}
            </span>
          </Fact>
        )}
        {offered && (
          <Fact name="Offered digest">
            <Id value={offered.digest} short />
          </Fact>
        )}
      </Facts>
      <DiffView
        label="Difference between the approved and the offered definition"
        before={approved ? JSON.stringify(approved.definition, null, 2) : ""}
        after={offered ? JSON.stringify(offered.definition, null, 2) : ""}
      />
      {offered && <Review tool={tool} drift={drift.data} digest={offered.digest} />}
    </div>
  );
}

/** The verdict names the digest that was looked at: of another definition it approves nothing. */
function Review({ tool, drift, digest }: { tool: Tool; drift: ToolDrift; digest: string }) {
  const mayReview = useMay("reviewTool");
  const queries = useQueryClient();
  const mutation = useMutation({
    mutationFn: (verdict: "approve" | "reject") => review(tool.id, verdict, digest),
    onSuccess: (_, verdict) =>
      notify({
        tone: verdict === "approve" ? "neutral" : "deny",
        title: `${verdict === "approve" ? "Approved" : "Rejected"}: ${drift.tenant_slug}/${drift.name}`,
      }),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["drift"] });
      void queries.invalidateQueries({ queryKey: ["tools"] });
    },
  });
  if (!mayReview)
    return <p className="text-muted">An operator or administrator decides about it.</p>;
  return (
    <div className="flex flex-col gap-2">
      {mutation.isError && <ProblemNote error={mutation.error} />}
      <div className="flex gap-2">
        <Button
          kind="primary"
          disabled={mutation.isPending}
          onClick={() => mutation.mutate("approve")}
        >
          <Check aria-hidden /> Approve what is offered
        </Button>
        <Button
          kind="dangerGhost"
          disabled={mutation.isPending}
          onClick={() => mutation.mutate("reject")}
        >
          <X aria-hidden /> Reject it
        </Button>
      </div>
    </div>
  );
}
