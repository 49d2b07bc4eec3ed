"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { allTenants, createTenant, type Tenant } from "@/api/tenants";
import { useMay } from "@/session/store";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { TextLink } from "@/ui/link";
import { Empty, Failed, Forbidden, Loading, ProblemNote } from "@/ui/states";
import { Time } from "@/ui/time";
import { href } from "@/ui/url-state";

const COLUMNS: Column<Tenant>[] = [
  {
    id: "slug",
    header: "Slug",
    width: "minmax(8rem, 1fr)",
    cell: (tenant) => <span className="font-medium">{tenant.slug}</span>,
    sortBy: (tenant) => tenant.slug,
  },
  {
    id: "name",
    header: "Name",
    width: "minmax(8rem, 1fr)",
    cell: (tenant) => tenant.display_name,
    sortBy: (tenant) => tenant.display_name,
  },
  {
    id: "created",
    header: "Created",
    width: "8rem",
    cell: (tenant) => <Time at={tenant.created_at} className="text-muted" />,
    sortBy: (tenant) => tenant.created_at,
    from: 520,
  },
  {
    id: "links",
    header: "",
    width: "9rem",
    align: "right",
    cell: (tenant) => (
      <span className="inline-flex gap-3">
        <TextLink href={href("/tools/", { tenant: tenant.slug })}>tools</TextLink>
        <TextLink href={href("/decisions/", { tenant: tenant.slug })}>decisions</TextLink>
      </span>
    ),
    from: 420,
  },
];

export function Tenants() {
  const maySee = useMay("seeTenants");
  const mayCreate = useMay("createTenant");
  const tenants = useQuery({ ...allTenants, enabled: maySee });
  const [creating, setCreating] = useState(false);
  if (!maySee) return <Forbidden capability="seeTenants" />;
  return (
    <>
      {mayCreate && (
        <div className="flex justify-end border-b px-3 py-2">
          <Button kind="primary" onClick={() => setCreating(true)}>
            <Plus aria-hidden /> Create a tenant
          </Button>
        </div>
      )}
      {tenants.isError ? (
        <Failed
          error={tenants.error}
          what="The tenants"
          capability="seeTenants"
          retry={() => void tenants.refetch()}
        />
      ) : tenants.isPending ? (
        <Loading what="The tenants" />
      ) : tenants.data.items.length === 0 ? (
        <Empty title="There is no tenant">
          The first tool that is registered creates its tenant.
        </Empty>
      ) : (
        <Grid<Tenant>
          label="Tenants"
          columns={COLUMNS}
          rows={tenants.data.items}
          rowKey={({ id }) => id}
        />
      )}
      {creating && <CreateDialog onClose={() => setCreating(false)} />}
    </>
  );
}

function CreateDialog({ onClose }: { onClose(): void }) {
  const queries = useQueryClient();
  const [slug, setSlug] = useState("");
  const [name, setName] = useState("");
  const create = useMutation({
    mutationFn: () =>
      createTenant({ slug: slug.trim(), ...(name.trim() ? { display_name: name.trim() } : {}) }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["tenants"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title="Create a tenant">
      <form onSubmit={submit} className="flex flex-col gap-3">
        <Field label="Slug" hint="Calls and keys name the tenant by it. It stays as it is.">
          {(field) => (
            <Input
              {...field}
              required
              spellCheck={false}
              value={slug}
              onChange={(event) => setSlug(event.target.value)}
            />
          )}
        </Field>
        <Field label="Name for people">
          {(field) => (
            <Input {...field} value={name} onChange={(event) => setName(event.target.value)} />
          )}
        </Field>
        {create.isError && <ProblemNote error={create.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" type="submit" disabled={create.isPending}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
