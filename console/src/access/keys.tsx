"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { type ApiKey, allKeys, createKey, type NewApiKey, revokeKey } from "@/api/keys";
import { allTenants } from "@/api/tenants";
import { ROLES } from "@/session/capabilities";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { CopyButton } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { Checkbox, Field, Input, Select } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { counted } from "@/ui/number";
import { Empty, Failed, Loading, ProblemNote } from "@/ui/states";
import { Time } from "@/ui/time";
import { useUrlState } from "@/ui/url-state";

const COLUMNS: Column<ApiKey>[] = [
  {
    id: "name",
    header: "Name",
    width: "minmax(8rem, 2fr)",
    cell: (key) => <span className="font-medium">{key.name}</span>,
    sortBy: (key) => key.name,
  },
  {
    id: "role",
    header: "Role",
    width: "5.5rem",
    cell: (key) => <Badge tone={key.role === "admin" ? "warn" : "neutral"}>{key.role}</Badge>,
    sortBy: (key) => key.role,
  },
  {
    id: "tenant",
    header: "Tenant",
    width: "minmax(6rem, 1.4fr)",
    cell: (key) => key.tenant_slug ?? <span className="text-warn">every tenant</span>,
    sortBy: (key) => key.tenant_slug ?? "",
    from: 560,
  },
  {
    id: "agent",
    header: "Agent",
    width: "minmax(6rem, 1.2fr)",
    cell: (key) => key.agent ?? <span className="text-faint">any</span>,
    sortBy: (key) => key.agent ?? "",
    from: 760,
  },
  {
    id: "owner",
    header: "Owner",
    width: "minmax(6rem, 1.2fr)",
    cell: (key) => key.owner ?? <span className="text-faint">itself</span>,
    from: 900,
  },
  {
    id: "created",
    header: "Made",
    width: "8rem",
    cell: (key) => <Time at={key.created_at} className="text-muted" />,
    sortBy: (key) => key.created_at,
    from: 680,
  },
];

export function Keys() {
  const [query, set] = useUrlState();
  const keys = useQuery(allKeys);
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const revoked = query.get("revoked") === "yes";
  const text = query.get("q") ?? "";
  const rows = useMemo(
    () =>
      (keys.data?.items ?? []).filter(
        (key) =>
          (revoked || !key.revoked_at) &&
          [key.name, key.role, key.tenant_slug, key.agent, key.owner, key.id]
            .join(" ")
            .toLowerCase()
            .includes(text.toLowerCase()),
      ),
    [keys.data, revoked, text],
  );
  const columns = useMemo<Column<ApiKey>[]>(
    () => [
      ...COLUMNS,
      {
        id: "revoke",
        header: "",
        width: "5.5rem",
        align: "right",
        cell: (key) =>
          key.revoked_at ? (
            <Badge tone="deny">revoked</Badge>
          ) : (
            <Button size="sm" kind="dangerGhost" onClick={() => setRevoking(key)}>
              Revoke
            </Button>
          ),
      },
    ],
    [],
  );
  return (
    <>
      <div className="flex flex-wrap items-center gap-3 border-b px-3 py-2">
        <div className="w-72 max-w-full">
          <Input
            data-search
            aria-label="Search keys"
            placeholder="Name, role, tenant, agent…"
            value={text}
            onChange={(event) => set({ q: event.target.value })}
          />
        </div>
        <Checkbox
          label="Revoked ones too"
          checked={revoked}
          onChange={(event) => set({ revoked: event.target.checked ? "yes" : null })}
        />
        <Button kind="primary" className="ml-auto" onClick={() => setCreating(true)}>
          <Plus aria-hidden /> Make a key
        </Button>
      </div>
      {keys.isError ? (
        <Failed
          error={keys.error}
          what="The keys"
          capability="manageKeys"
          retry={() => void keys.refetch()}
        />
      ) : keys.isPending ? (
        <Loading what="The keys" />
      ) : rows.length === 0 ? (
        <Empty title="No key fits" />
      ) : (
        <Grid<ApiKey>
          label="Keys"
          columns={columns}
          rows={rows}
          rowKey={({ id }) => id}
          footer={<p className="px-3 py-2 text-xs text-faint">{counted(rows.length, "key")}</p>}
        />
      )}
      {creating && <CreateDialog onClose={() => setCreating(false)} />}
      {revoking && <RevokeDialog apiKey={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}

function CreateDialog({ onClose }: { onClose(): void }) {
  const queries = useQueryClient();
  const tenants = useQuery(allTenants);
  const [values, setValues] = useState({
    name: "",
    role: "agent",
    tenant: "",
    agent: "",
    owner: "",
  });
  const [made, setMade] = useState<NewApiKey | null>(null);
  const create = useMutation({
    mutationFn: () =>
      createKey({
        name: values.name.trim(),
        role: values.role,
        ...(values.tenant ? { tenant_slug: values.tenant } : {}),
        ...(values.agent.trim() ? { agent: values.agent.trim() } : {}),
        ...(values.owner.trim() ? { owner: values.owner.trim() } : {}),
      }),
    onSuccess: (key) => {
      setMade(key);
      void queries.invalidateQueries({ queryKey: ["keys"] });
    },
  });
  if (made) return <SecretDialog made={made} onClose={onClose} />;
  const text = (name: keyof typeof values) => ({
    value: values[name],
    onChange: (event: { target: { value: string } }) =>
      setValues({ ...values, [name]: event.target.value }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title="Make a key">
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field label="Name">
          {(field) => (
            <Input {...field} required placeholder="release pipeline" {...text("name")} />
          )}
        </Field>
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Role">
            {(field) => (
              <Select {...field} {...text("role")}>
                {ROLES.map((role) => (
                  <option key={role}>{role}</option>
                ))}
              </Select>
            )}
          </Field>
          <Field label="Tenant" hint="Unbound keys reach every tenant.">
            {(field) => (
              <Select {...field} {...text("tenant")}>
                <option value="">Every tenant</option>
                {tenants.data?.items.map(({ slug }) => (
                  <option key={slug}>{slug}</option>
                ))}
              </Select>
            )}
          </Field>
          <Field label="Agent" hint="A bound key can name no other.">
            {(field) => <Input {...field} {...text("agent")} />}
          </Field>
          <Field label="Owner" hint="Keys with one owner are one principal.">
            {(field) => <Input {...field} {...text("owner")} />}
          </Field>
        </div>
        {create.isError && <ProblemNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={create.isPending}>
            Make the key
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The only time that the secret is shown. It is in no cache and no address. */
function SecretDialog({ made, onClose }: { made: NewApiKey; onClose(): void }) {
  const [saved, setSaved] = useState(false);
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && saved && onClose()}
      title={`The key ${made.name}`}
      description="It is shown this once: only its hash is stored."
    >
      <div className="flex flex-col gap-3">
        <div className="flex items-center gap-2 rounded-md border bg-raised px-3 py-2">
          <code className="min-w-0 flex-1 break-all font-mono text-xs">{made.secret}</code>
          <CopyButton text={made.secret} label="Copy the key">
            Copy
          </CopyButton>
        </div>
        <Checkbox
          label="I have put it where it is needed"
          checked={saved}
          onChange={(event) => setSaved(event.target.checked)}
        />
        <Button kind="primary" className="self-end" disabled={!saved} onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}

function RevokeDialog({ apiKey, onClose }: { apiKey: ApiKey; onClose(): void }) {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const revoke = useMutation({
    mutationFn: () => revokeKey(apiKey.id),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["keys"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === apiKey.name) revoke.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Revoke the key ${apiKey.name}`}
      description="Everything that uses it is refused at once, its open streams included. It cannot be taken back."
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field
          label="Confirmation"
          hint={
            <>
              Type <code className="rounded bg-raised px-1 font-mono text-fg">{apiKey.name}</code>{" "}
              to confirm
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
        {revoke.isError && <ProblemNote error={revoke.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep it</Button>
          <Button kind="danger" type="submit" disabled={typed !== apiKey.name || revoke.isPending}>
            Revoke
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
