"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { change, register, retire, type Tool } from "@/api/tools";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input, Suggest, TextArea } from "@/ui/field";
import { ProblemNote } from "@/ui/states";
import { notify } from "@/ui/toast";

interface Values {
  tenant: string;
  name: string;
  url: string;
  owner: string;
  scopes: string;
  healthcheck: string;
  metadata: string;
}

/** The metadata, or `null` when the text is not a JSON object. */
export function readMetadata(text: string): Record<string, unknown> | null {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

export function readScopes(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((scope) => scope !== ""))];
}

function Fields({
  values,
  set,
  fixed,
  tenants,
}: {
  values: Values;
  set(values: Values): void;
  fixed: boolean;
  tenants: string[];
}) {
  const text = (name: keyof Values) => ({
    value: values[name],
    onChange: (event: { target: { value: string } }) =>
      set({ ...values, [name]: event.target.value }),
  });
  return (
    <>
      {!fixed && (
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Tenant" hint="A new slug creates the tenant.">
            {(field) => <Suggest {...field} required options={tenants} {...text("tenant")} />}
          </Field>
          <Field label="Name">
            {(field) => <Input {...field} required spellCheck={false} {...text("name")} />}
          </Field>
        </div>
      )}
      <Field label="Address">
        {(field) => (
          <Input
            {...field}
            required
            type="url"
            placeholder="https://search.example/mcp"
            {...text("url")}
          />
        )}
      </Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label="Owner">
          {(field) => (
            <Input {...field} required placeholder="search-team@example.com" {...text("owner")} />
          )}
        </Field>
        <Field label="Scopes" hint="Separated by spaces">
          {(field) => (
            <Input
              {...field}
              spellCheck={false}
              placeholder="docs:read docs:write"
              {...text("scopes")}
            />
          )}
        </Field>
      </div>
      <Field
        label="Health check"
        hint="An address that the server asks; left empty, health is not known."
      >
        {(field) => <Input {...field} type="url" {...text("healthcheck")} />}
      </Field>
      <Field
        label="Metadata"
        error={readMetadata(values.metadata) === null ? "This is not a JSON object." : null}
      >
        {(field) => (
          <TextArea
            {...field}
            rows={5}
            spellCheck={false}
            className="font-mono text-xs"
            {...text("metadata")}
          />
        )}
      </Field>
    </>
  );
}

interface RegisterProps {
  tenants: string[];
  onClose(): void;
  onDone(tool: Tool): void;
}

export function RegisterDialog({ tenants, onClose, onDone }: RegisterProps) {
  const queries = useQueryClient();
  const [values, set] = useState<Values>({
    tenant: "",
    name: "",
    url: "",
    owner: "",
    scopes: "",
    healthcheck: "",
    metadata: "{}",
  });
  const metadata = readMetadata(values.metadata);
  const mutation = useMutation({
    mutationFn: () =>
      register({
        tenant_slug: values.tenant.trim(),
        name: values.name.trim(),
        url: values.url.trim(),
        owner: values.owner.trim(),
        scopes: readScopes(values.scopes),
        metadata: metadata ?? {},
        ...(values.healthcheck.trim() ? { healthcheck: values.healthcheck.trim() } : {}),
      }),
    onSuccess: async (tool) => {
      await queries.invalidateQueries({ queryKey: ["tools"] });
      onDone(tool);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (metadata) mutation.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title="Register a tool"
      description="Policy decides about its calls from then on."
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Fields values={values} set={set} fixed={false} tenants={tenants} />
        {mutation.isError && <ProblemNote error={mutation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={metadata === null || mutation.isPending}>
            {mutation.isPending ? "Registering…" : "Register"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function EditDialog({ tool, onClose }: { tool: Tool; onClose(): void }) {
  const queries = useQueryClient();
  const [values, set] = useState<Values>({
    tenant: tool.tenant_slug,
    name: tool.name,
    url: tool.url,
    owner: tool.owner,
    scopes: tool.scopes.join(" "),
    healthcheck: tool.healthcheck ?? "",
    metadata: JSON.stringify(tool.metadata, null, 2),
  });
  const metadata = readMetadata(values.metadata);
  const mutation = useMutation({
    mutationFn: () => {
      // Only what was changed, so that a change by someone else in between stays.
      const scopes = readScopes(values.scopes);
      return change(tool.id, {
        ...(values.url !== tool.url ? { url: values.url } : {}),
        ...(values.owner !== tool.owner ? { owner: values.owner } : {}),
        ...(scopes.join(" ") !== tool.scopes.join(" ") ? { scopes } : {}),
        ...(JSON.stringify(metadata) !== JSON.stringify(tool.metadata)
          ? { metadata: metadata ?? {} }
          : {}),
        ...(values.healthcheck !== (tool.healthcheck ?? "")
          ? { healthcheck: values.healthcheck || null }
          : {}),
      });
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["tools"] });
      notify({ tone: "neutral", title: `Changed: ${tool.tenant_slug}/${tool.name}` });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (metadata) mutation.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Edit ${tool.tenant_slug}/${tool.name}`}
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Fields values={values} set={set} fixed tenants={[]} />
        {mutation.isError && <ProblemNote error={mutation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={metadata === null || mutation.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function RetireDialog({ tool, onClose }: { tool: Tool; onClose(): void }) {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const name = `${tool.tenant_slug}/${tool.name}`;
  const mutation = useMutation({
    mutationFn: () => retire(tool.id),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["tools"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === name) mutation.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Retire ${name}`}
      description="Every call is denied from then on. Its name stays taken, and it cannot be brought back."
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field
          label="Confirmation"
          hint={
            <>
              Type <code className="rounded bg-raised px-1 font-mono text-fg">{name}</code> to
              confirm
            </>
          }
        >
          {(field) => (
            <Input
              {...field}
              className="font-mono"
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        {mutation.isError && <ProblemNote error={mutation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep it</Button>
          <Button kind="danger" type="submit" disabled={typed !== name || mutation.isPending}>
            Retire
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
