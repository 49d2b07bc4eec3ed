"use client";

import { useMutation, useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { type FormEvent, useState } from "react";
import { check } from "@/api/policy";
import { problemOf } from "@/api/problem";
import { allTools } from "@/api/tools";
import { Explanation } from "@/decisions/explanation";
import { useMay } from "@/session/store";
import { readMetadata } from "@/tools/form";
import { Button } from "@/ui/button";
import { Field, Input, Suggest, TextArea } from "@/ui/field";
import { Panel } from "@/ui/panel";
import { Forbidden, ProblemNote } from "@/ui/states";

/** Asks for one decision, and explains it. */
export function Probe() {
  const mayCheck = useMay("check");
  const tools = useQuery(allTools);
  const [values, setValues] = useState({
    tenant: "",
    tool: "",
    action: "invoke",
    purpose: "",
    agent: "",
    arguments: "{}",
    context: "{}",
  });
  const probe = useMutation({
    mutationFn: async () => {
      const argumentsObject = readMetadata(values.arguments) ?? {};
      const context = readMetadata(values.context) ?? {};
      return check({
        tenant_slug: values.tenant.trim(),
        tool_name: values.tool.trim(),
        action: values.action.trim(),
        ...(values.purpose.trim() ? { purpose: values.purpose.trim() } : {}),
        ...(values.agent.trim() ? { agent: values.agent.trim() } : {}),
        arguments: argumentsObject,
        context,
      });
    },
  });
  if (!mayCheck) return <Forbidden capability="check" />;
  const known = tools.data?.items ?? [];
  const text = (name: keyof typeof values) => ({
    value: values[name],
    onChange: (event: { target: { value: string } }) =>
      setValues({ ...values, [name]: event.target.value }),
  });
  const invalid = (name: "arguments" | "context") =>
    readMetadata(values[name]) === null ? "This is not a JSON object." : null;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!invalid("arguments") && !invalid("context")) probe.mutate();
  };
  return (
    <div className="grid min-h-0 flex-1 content-start gap-3 overflow-y-auto bg-bg p-3 lg:grid-cols-2">
      <Panel title="Ask for a decision">
        <form onSubmit={submit} className="flex flex-col gap-3">
          <p className="rounded-md bg-warn-soft px-3 py-2 text-warn">
            It is a real check: recorded, and counted against the quota if it is allowed.
          </p>
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label="Tenant">
              {(field) => (
                <Suggest
                  {...field}
                  required
                  options={[...new Set(known.map(({ tenant_slug }) => tenant_slug))]}
                  {...text("tenant")}
                />
              )}
            </Field>
            <Field label="Tool">
              {(field) => (
                <Suggest
                  {...field}
                  required
                  options={known
                    .filter(({ tenant_slug }) => !values.tenant || tenant_slug === values.tenant)
                    .map(({ name }) => name)}
                  {...text("tool")}
                />
              )}
            </Field>
            <Field label="Action">
              {(field) => <Input {...field} required {...text("action")} />}
            </Field>
            <Field label="Purpose">{(field) => <Input {...field} {...text("purpose")} />}</Field>
            <Field label="Agent">{(field) => <Input {...field} {...text("agent")} />}</Field>
          </div>
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label="Arguments" error={invalid("arguments")}>
              {(field) => (
                <TextArea
                  {...field}
                  rows={4}
                  spellCheck={false}
                  className="font-mono text-xs"
                  {...text("arguments")}
                />
              )}
            </Field>
            <Field label="Context" error={invalid("context")}>
              {(field) => (
                <TextArea
                  {...field}
                  rows={4}
                  spellCheck={false}
                  className="font-mono text-xs"
                  {...text("context")}
                />
              )}
            </Field>
          </div>
          {probe.isError && <ProblemNote error={problemOf(probe.error)} />}
          <Button kind="primary" type="submit" className="self-start" disabled={probe.isPending}>
            <Play aria-hidden /> Ask
          </Button>
        </form>
      </Panel>
      <Panel title="Answer">
        {probe.data ? (
          <Explanation id={probe.data.decision_id} />
        ) : (
          <p className="text-muted">The decision appears here with its explanation.</p>
        )}
      </Panel>
    </div>
  );
}
