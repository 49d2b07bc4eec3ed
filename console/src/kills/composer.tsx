"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { OctagonX } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type KillAnswer, kill } from "@/api/kills";
import { problemOf } from "@/api/problem";
import { allTenants } from "@/api/tenants";
import { allTools } from "@/api/tools";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Field, Input, Select, Suggest } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { ProblemNote } from "@/ui/states";
import { Impact } from "./impact";
import { KillResult } from "./result";
import { type Schedule, ScheduleFields, timesOf, WITHOUT_SCHEDULE } from "./schedule";
import {
  asRequest,
  inWords,
  isComplete,
  KIND_NAMES,
  KINDS,
  phrase,
  type Target,
  takesName,
  tenantOf,
} from "./target";

interface Done {
  answer: KillAnswer;
  target: Target;
  tookMs: number;
}

interface Props {
  target: Target;
  onTarget(target: Target): void;
}

/** Prepares a kill, shows what it will stop, and asks for its name before it stops anything. */
export function KillComposer({ target, onTarget }: Props) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const [schedule, setSchedule] = useState<Schedule>(WITHOUT_SCHEDULE);
  const [done, setDone] = useState<Done | null>(null);
  const times = timesOf(schedule, new Date());
  const mutation = useMutation({
    mutationFn: async (): Promise<Done> => {
      if ("error" in times) throw new Error(times.error);
      const began = performance.now();
      const answer = await kill(asRequest(target, reason, times));
      return { answer, target, tookMs: performance.now() - began };
    },
    onSuccess: (result) => {
      setDone(result);
      setTyped("");
      setReason("");
      setSchedule(WITHOUT_SCHEDULE);
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["kills"] });
      void queries.invalidateQueries({ queryKey: ["tools"] });
    },
  });
  const scheduled = schedule.start !== "now";
  const confirmed = isComplete(target) && typed === phrase(target);
  const armed = confirmed && reason.trim() !== "" && !("error" in times) && !mutation.isPending;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (armed) mutation.mutate();
  };

  if (done) {
    return <KillResult {...done} onClose={() => setDone(null)} />;
  }
  return (
    <form
      onSubmit={submit}
      className="grid min-w-0 gap-3 lg:grid-cols-[minmax(0,1fr)_minmax(0,26rem)]"
    >
      <Panel title="Stop calls" about="1. What · 2. Why · 3. Type its name">
        <div className="flex flex-col gap-3">
          <Choice
            label="What to stop"
            value={target.kind}
            onChange={(kind) => {
              setTyped("");
              onTarget({ ...target, kind, name: kind === target.kind ? target.name : "" });
            }}
            options={KINDS.map((value) => ({ value, label: KIND_NAMES[value] }))}
          />
          <TargetFields target={target} onTarget={onTarget} />
          <Field label="Reason" hint="Every denied call carries it, and so does the log.">
            {(field) => (
              <Input
                {...field}
                required
                value={reason}
                placeholder="incident 4711: leaks queries"
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
          <ScheduleFields value={schedule} onChange={setSchedule} />
          <Confirmation target={target} typed={typed} onTyped={setTyped} />
          {mutation.isError && <KillFailed error={mutation.error} />}
          <Button
            kind="danger"
            size="lg"
            type="submit"
            className="justify-center"
            disabled={!armed}
          >
            <OctagonX aria-hidden />
            {mutation.isPending
              ? "Stopping…"
              : `${scheduled ? "Schedule the kill of" : "Kill"} ${isComplete(target) ? inWords(target) : KIND_NAMES[target.kind].toLowerCase()}`}
          </Button>
        </div>
      </Panel>
      <Impact target={target} />
    </form>
  );
}

function TargetFields({ target, onTarget }: Props) {
  const tenants = useQuery(allTenants);
  const tools = useQuery(allTools);
  const wantsTenant = tenantOf(target.kind);
  const names = namesFor(target, tools.data?.items ?? []);
  return (
    <div className="grid gap-3 sm:grid-cols-2">
      {wantsTenant !== "none" && (
        <Field label="Tenant" error={tenants.isError ? problemOf(tenants.error).detail : null}>
          {(field) => (
            <Select
              {...field}
              value={target.tenant}
              onChange={(event) => onTarget({ ...target, tenant: event.target.value })}
            >
              <option value="">
                {wantsTenant === "required" ? "Choose a tenant" : "Every tenant"}
              </option>
              {target.tenant !== "" &&
                !tenants.data?.items.some(({ slug }) => slug === target.tenant) && (
                  <option value={target.tenant}>{target.tenant}</option>
                )}
              {tenants.data?.items.map(({ slug }) => (
                <option key={slug} value={slug}>
                  {slug}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      {takesName(target.kind) && (
        <Field label={KIND_NAMES[target.kind]}>
          {(field) => (
            <Suggest
              {...field}
              options={names}
              placeholder={PLACEHOLDERS[target.kind]}
              value={target.name}
              onChange={(event) => onTarget({ ...target, name: event.target.value })}
            />
          )}
        </Field>
      )}
      {target.kind === "global" && (
        <p className="text-warn sm:col-span-2">
          Every call of every tenant is denied, also of tools that are registered later.
        </p>
      )}
    </div>
  );
}

const PLACEHOLDERS: Partial<Record<Target["kind"], string>> = {
  tool: "name of the tool",
  agent: "name of the agent",
  principal: "key:…, owner:…, or the name of a key",
  tool_scope: "ledger:write",
  tool_tag: "pci",
};

function namesFor(
  target: Target,
  tools: {
    tenant_slug: string;
    name: string;
    scopes: string[];
    metadata: Record<string, unknown>;
  }[],
): string[] {
  const within = tools.filter(
    ({ tenant_slug }) => target.tenant === "" || tenant_slug === target.tenant,
  );
  const names = within.flatMap((tool) => {
    if (target.kind === "tool") return [tool.name];
    if (target.kind === "tool_scope") return tool.scopes;
    if (target.kind !== "tool_tag") return [];
    const { tags } = tool.metadata;
    return (Array.isArray(tags) ? tags : [tags]).filter((tag) => typeof tag === "string");
  });
  return [...new Set(names)].sort();
}

function Confirmation({
  target,
  typed,
  onTyped,
}: {
  target: Target;
  typed: string;
  onTyped(typed: string): void;
}) {
  const wanted = phrase(target);
  const complete = isComplete(target);
  return (
    <Field
      label="Confirmation"
      hint={
        complete ? (
          <>
            Type <code className="rounded bg-raised px-1 font-mono text-fg">{wanted}</code> to
            confirm
          </>
        ) : (
          "Choose what to stop first"
        )
      }
    >
      {(field) => (
        <Input
          {...field}
          className="font-mono"
          autoComplete="off"
          spellCheck={false}
          disabled={!complete}
          value={typed}
          onChange={(event) => onTyped(event.target.value)}
        />
      )}
    </Field>
  );
}

/** No answer is not a no: the kill may hold or not, and the user has to know that. */
function KillFailed({ error }: { error: unknown }) {
  const unknown = problemOf(error).status === 0;
  return (
    <div className="flex flex-col gap-2">
      <ProblemNote error={error} />
      {unknown && (
        <p className="font-medium text-deny">
          It is not known whether the kill is in force. Look at the list below once the server
          answers, or kill again: killing twice does no harm.
        </p>
      )}
    </div>
  );
}
