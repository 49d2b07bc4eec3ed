"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { FolderUp, RotateCw } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { drop, type PolicyRollout, promote, rollouts, startRollout } from "@/api/policy";
import { problemOf } from "@/api/problem";
import { Verdict } from "@/decisions/verdict";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { TextLink } from "@/ui/link";
import { grouped } from "@/ui/number";
import { Panel } from "@/ui/panel";
import { Failed, Loading, ProblemNote } from "@/ui/states";
import { Time } from "@/ui/time";
import { href } from "@/ui/url-state";
import { FindingList } from "./finding-list";
import { findingsIn } from "./findings";

/** A candidate beside the policy in force: what it would change, and the steps to it. */
export function Rollout() {
  const state = useQuery(rollouts);
  const mayChange = useMay("changePolicy");
  const [found, setFound] = useState<{ warnings: string[]; files: Record<string, string> } | null>(
    null,
  );
  if (state.isError)
    return (
      <Failed
        error={state.error}
        what="The rollout"
        capability="seePolicy"
        retry={() => void state.refetch()}
      />
    );
  if (state.isPending) return <Loading what="The rollout" />;
  const { monitored, promoted } = state.data;
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3 overflow-y-auto bg-bg p-3">
      {found && found.warnings.length > 0 && (
        <FindingList texts={found.warnings} sources={found.files} tone="warn" />
      )}
      {promoted && <Candidate rollout={promoted} onRead={() => void state.refetch()} />}
      {monitored && <Candidate rollout={monitored} onRead={() => void state.refetch()} />}
      {!monitored && mayChange && (
        <Start onStarted={(warnings, files) => setFound({ warnings, files })} />
      )}
      {!monitored && !promoted && !mayChange && (
        <Panel title="Rollout">
          <p className="text-muted">No candidate is monitored or promoted.</p>
        </Panel>
      )}
    </div>
  );
}

function Candidate({ rollout, onRead }: { rollout: PolicyRollout; onRead(): void }) {
  const mayChange = useMay("changePolicy");
  const [step, setStep] = useState<"promote" | "drop" | null>(null);
  const { comparison } = rollout;
  const monitored = rollout.state === "monitored";
  const figures: [string, number, string][] = comparison
    ? [
        ["agree", comparison.agreed, ""],
        ["newly allowed", comparison.newly_allowed, "text-warn"],
        ["newly denied", comparison.newly_denied, "text-deny"],
        ["otherwise", comparison.otherwise, ""],
        ["errors", comparison.errors, "text-deny"],
        ["not compared", comparison.dropped, ""],
      ]
    : [];
  return (
    <Panel
      title={
        <span className="inline-flex items-center gap-2">
          {rollout.revision} <Badge tone={monitored ? "accent" : "warn"}>{rollout.state}</Badge>
        </span>
      }
      about={
        <>
          since <Time at={rollout.started_at} /> · {rollout.percent} % of the calls of{" "}
          {rollout.tenants.length === 0 ? "every tenant" : rollout.tenants.join(", ")}
        </>
      }
      actions={
        <>
          <Button size="sm" onClick={onRead}>
            <RotateCw aria-hidden /> Read again
          </Button>
          {mayChange && monitored && (
            <Button
              size="sm"
              kind="primary"
              disabled={!rollout.loaded}
              onClick={() => setStep("promote")}
            >
              Promote
            </Button>
          )}
          {mayChange && (
            <Button size="sm" kind="dangerGhost" onClick={() => setStep("drop")}>
              {monitored ? "Drop" : "Take back"}
            </Button>
          )}
        </>
      }
    >
      {!comparison && <p className="text-muted">This server compares nothing for it.</p>}
      {comparison && (
        <dl className="grid grid-cols-2 gap-2 sm:grid-cols-3 lg:grid-cols-6">
          {figures.map(([name, value, color]) => (
            <div key={name} className="rounded-md bg-raised px-3 py-2">
              <dt className="text-xs text-muted">{name}</dt>
              <dd className={`tabular text-xl font-semibold ${value > 0 ? color : ""}`}>
                {grouped(value)}
              </dd>
            </div>
          ))}
        </dl>
      )}
      {comparison && comparison.examples.length > 0 && (
        <ul className="mt-3 rounded-md border">
          {comparison.examples.slice(0, 50).map((example) => (
            <li
              key={example.decision_id}
              className="flex flex-wrap items-center gap-2 border-b px-2.5 py-1.5 last:border-0"
            >
              <Time at={example.at} className="tabular text-muted" />
              <TextLink
                href={href("/decisions/", { open: example.decision_id })}
                className="min-w-0 flex-1 truncate"
              >
                {example.tenant}/{example.tool}
              </TextLink>
              <span className="text-xs text-faint">decided</span>{" "}
              <Verdict decision={example.decided.allow ? "allow" : "deny"} />
              <span className="text-xs text-faint">candidate</span>{" "}
              <Verdict
                decision={example.candidate.allow && !example.candidate.error ? "allow" : "deny"}
              />
              <code className="font-mono text-xs text-muted">
                {example.candidate.error ?? example.candidate.reasons.join(" ")}
              </code>
            </li>
          ))}
        </ul>
      )}
      {step && <StepDialog step={step} rollout={rollout} onClose={() => setStep(null)} />}
    </Panel>
  );
}

function StepDialog({
  step,
  rollout,
  onClose,
}: {
  step: "promote" | "drop";
  rollout: PolicyRollout;
  onClose(): void;
}) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const mutation = useMutation({
    mutationFn: async () => {
      await (step === "promote" ? promote : drop)({
        rollout_id: rollout.id,
        reason: reason.trim(),
      });
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["policy"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutation.mutate();
  };
  const name =
    step === "promote" ? "Promote" : rollout.state === "monitored" ? "Drop" : "Take back";
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`${name} ${rollout.revision}`}
      description={
        step === "promote"
          ? "It decides from then on, on every server with the same source."
          : rollout.state === "monitored"
            ? "It is no longer compared."
            : "The revision of the source decides again."
      }
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field label="Reason">
          {(field) => (
            <Input
              {...field}
              required
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {mutation.isError && <ProblemNote error={mutation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button
            kind={step === "promote" ? "primary" : "danger"}
            type="submit"
            disabled={reason.trim() === "" || mutation.isPending}
          >
            {name}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Start({
  onStarted,
}: {
  onStarted(warnings: string[], files: Record<string, string>): void;
}) {
  const queries = useQueryClient();
  const input = useId();
  const [files, setFiles] = useState<Record<string, string>>({});
  const [values, setValues] = useState({ reason: "", tenants: "", percent: "100" });
  const start = useMutation({
    mutationFn: () => {
      const tenants = values.tenants.split(/[\s,]+/).filter((tenant) => tenant !== "");
      return startRollout({
        files,
        percent: Number(values.percent),
        ...(values.reason.trim() ? { reason: values.reason.trim() } : {}),
        ...(tenants.length > 0 ? { tenants } : {}),
      });
    },
    onSuccess: (started) => {
      onStarted(started.warnings, files);
      void queries.invalidateQueries({ queryKey: ["policy"] });
    },
  });
  const take = async (list: FileList | null) => {
    const read = await Promise.all(
      [...(list ?? [])].map(async (file): Promise<[string, string]> => {
        // The name of the chosen folder is not part of the policy.
        const path = file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
        return [path, await file.text()];
      }),
    );
    setFiles(
      Object.fromEntries(read.filter(([path]) => /\.(rego|json)$|(^|\/)\.manifest$/.test(path))),
    );
    start.reset();
  };
  const names = Object.keys(files);
  const detail = start.isError ? problemOf(start.error).detail : "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (names.length > 0) start.mutate();
  };
  return (
    <Panel
      title="Monitor a candidate"
      about="It is vetted, then evaluated beside the policy in force, without influence"
    >
      <form onSubmit={submit} className="flex max-w-3xl flex-col gap-3">
        <label
          htmlFor={input}
          className="flex cursor-pointer items-center gap-3 rounded-md border-2 border-dashed border-line-strong/60 px-4 py-3 focus-within:border-accent hover:border-accent"
        >
          <FolderUp aria-hidden className="size-5 text-accent" />
          <span className="min-w-0 flex-1">
            <span className="block font-medium">
              {names.length === 0 ? "Choose the files of the candidate" : names.join(", ")}
            </span>
            <span className="text-xs text-faint">*.rego, data.json and .manifest</span>
          </span>
          <input
            id={input}
            type="file"
            multiple
            className="sr-only"
            onChange={(event) => void take(event.target.files)}
          />
        </label>
        <div className="grid gap-3 sm:grid-cols-3">
          <Field label="Reason">
            {(field) => (
              <Input
                {...field}
                value={values.reason}
                onChange={(event) => setValues({ ...values, reason: event.target.value })}
              />
            )}
          </Field>
          <Field label="Tenants" hint="Every tenant when empty">
            {(field) => (
              <Input
                {...field}
                value={values.tenants}
                onChange={(event) => setValues({ ...values, tenants: event.target.value })}
              />
            )}
          </Field>
          <Field label="Share of the calls, %">
            {(field) => (
              <Input
                {...field}
                type="number"
                min={1}
                max={100}
                value={values.percent}
                onChange={(event) => setValues({ ...values, percent: event.target.value })}
              />
            )}
          </Field>
        </div>
        {start.isError &&
          (findingsIn(detail).length > 0 ? (
            <FindingList texts={[detail]} sources={files} tone="deny" />
          ) : (
            <ProblemNote error={start.error} />
          ))}
        <Button
          kind="primary"
          type="submit"
          className="self-start"
          disabled={names.length === 0 || start.isPending}
        >
          {start.isPending ? "Vetting…" : "Vet and monitor"}
        </Button>
      </form>
    </Panel>
  );
}
