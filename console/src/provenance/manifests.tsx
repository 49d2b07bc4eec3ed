"use client";

import { useQuery } from "@tanstack/react-query";
import { Download, Search } from "lucide-react";
import { useMemo, useState } from "react";
import { Actor } from "@/access/actor";
import {
  bundleOf,
  latestManifests,
  type ManifestFilter,
  type ManifestRecord,
  verificationOf,
} from "@/api/manifests";
import { problemOf } from "@/api/problem";
import { allTools } from "@/api/tools";
import { useMay } from "@/session/store";
import { Button } from "@/ui/button";
import { Json } from "@/ui/code";
import { Id } from "@/ui/copy";
import { Input, Suggest } from "@/ui/field";
import { type Column, Grid } from "@/ui/grid";
import { TextLink } from "@/ui/link";
import { counted } from "@/ui/number";
import { Fact, Facts } from "@/ui/panel";
import { saveAs } from "@/ui/save";
import { Split } from "@/ui/split";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { notify } from "@/ui/toast";
import { href, useUrlState } from "@/ui/url-state";
import { CheckList } from "./checks";

const COLUMNS: Column<ManifestRecord>[] = [
  {
    id: "at",
    header: "Signed",
    width: "8rem",
    cell: (manifest) => <Time at={manifest.created_at} className="tabular text-muted" />,
    sortBy: (manifest) => manifest.created_at,
  },
  {
    id: "tool",
    header: "Tool",
    width: "minmax(9rem, 2fr)",
    cell: (manifest) => (
      <>
        <span className="text-faint">{manifest.tenant}/</span>
        <span className="font-medium">{manifest.tool}</span>
      </>
    ),
    sortBy: (manifest) => `${manifest.tenant}/${manifest.tool}`,
  },
  {
    id: "action",
    header: "Action",
    width: "6rem",
    cell: (manifest) => manifest.action,
    sortBy: (manifest) => manifest.action,
    from: 560,
  },
  {
    id: "purpose",
    header: "Purpose",
    width: "minmax(6rem, 1fr)",
    cell: (manifest) => manifest.purpose ?? <span className="text-faint">none</span>,
    from: 760,
  },
  {
    id: "hash",
    header: "Payload",
    width: "minmax(8rem, 1fr)",
    cell: (manifest) => (
      <code className="font-mono text-xs text-muted">{manifest.payload_hash.slice(0, 23)}…</code>
    ),
    from: 900,
  },
  {
    id: "decision",
    header: "Decision",
    width: "6rem",
    cell: (manifest) => (manifest.decision_id ? "named" : <span className="text-faint">none</span>),
    from: 680,
  },
];

export function Manifests() {
  const maySee = useMay("seeManifests");
  return maySee ? <ManifestSearch /> : <Forbidden capability="seeManifests" />;
}

function ManifestSearch() {
  const [query, set] = useUrlState();
  const filter = useMemo<ManifestFilter>(() => {
    const value = (name: string) => query.get(name) ?? "";
    return {
      ...(value("tenant") ? { tenant: value("tenant") } : {}),
      ...(value("tool") ? { tool: value("tool") } : {}),
    };
  }, [query]);
  const manifests = useQuery(latestManifests(filter));
  const tools = useQuery(allTools);
  const text = (query.get("q") ?? "").toLowerCase();
  const rows = useMemo(
    () =>
      (manifests.data?.items ?? []).filter((manifest) =>
        [
          manifest.id,
          manifest.decision_id,
          manifest.payload_hash,
          manifest.purpose,
          manifest.action,
          manifest.tool,
        ]
          .join(" ")
          .toLowerCase()
          .includes(text),
      ),
    [manifests.data, text],
  );
  const open = query.get("open");
  const names = tools.data?.items ?? [];
  return (
    <>
      <div className="flex flex-wrap items-center gap-2 border-b px-3 py-2">
        <div className="relative min-w-40 flex-1">
          <Search aria-hidden className="absolute left-2.5 top-2 size-4 text-faint" />
          <Input
            data-search
            aria-label="Search manifests"
            className="pl-8"
            placeholder="Manifest, decision, payload hash, purpose…"
            value={query.get("q") ?? ""}
            onChange={(event) => set({ q: event.target.value })}
          />
        </div>
        <span className="w-40">
          <Suggest
            aria-label="Tenant"
            placeholder="Tenant"
            options={[...new Set(names.map(({ tenant_slug }) => tenant_slug))]}
            value={query.get("tenant") ?? ""}
            onChange={(event) => set({ tenant: event.target.value })}
          />
        </span>
        <span className="w-48">
          <Suggest
            aria-label="Tool"
            placeholder="Tool"
            options={[...new Set(names.map(({ name }) => name))]}
            value={query.get("tool") ?? ""}
            onChange={(event) => set({ tool: event.target.value })}
          />
        </span>
      </div>
      <Split
        title={open ? "Manifest" : null}
        onClose={() => set({ open: null })}
        actions={open ? <BundleDownload id={open} /> : null}
        detail={open ? <ManifestDetail key={open} id={open} /> : null}
      >
        {manifests.isError ? (
          <Failed
            error={manifests.error}
            what="The manifests"
            capability="seeManifests"
            retry={() => void manifests.refetch()}
          />
        ) : manifests.isPending ? (
          <Loading what="The manifests" rows={10} />
        ) : rows.length === 0 ? (
          <Empty
            title={manifests.data.items.length > 0 ? "No manifest fits" : "Nothing was signed yet"}
          >
            An agent signs what came of a call with{" "}
            <code className="font-mono text-xs">POST /provenance/sign</code>.
          </Empty>
        ) : (
          <Grid<ManifestRecord>
            label="Manifests"
            columns={COLUMNS}
            rows={rows}
            rowKey={({ id }) => id}
            onOpen={({ id }) => set({ open: id })}
            openKey={open}
            footer={
              <p className="px-3 py-2 text-xs text-faint">
                {counted(rows.length, "manifest")}
                {manifests.data.more && "; older ones are found by tenant and tool"}
              </p>
            }
          />
        )}
      </Split>
    </>
  );
}

function BundleDownload({ id }: { id: string }) {
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    try {
      const bundle = await bundleOf(id);
      saveAs(
        new Blob([JSON.stringify(bundle)], { type: "application/json" }),
        `${id}.sigstore.json`,
      );
    } catch (error) {
      notify({
        tone: "deny",
        title: "The bundle was not downloaded",
        detail: problemOf(error).detail,
      });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button size="sm" disabled={busy} onClick={() => void run()}>
      <Download aria-hidden /> Bundle
    </Button>
  );
}

/** The server verifies it again each time that it is opened. */
function ManifestDetail({ id }: { id: string }) {
  const verification = useQuery({ ...verificationOf(id), staleTime: 0, gcTime: 0 });
  if (verification.isPending) return <Loading what="The verification" rows={10} />;
  if (verification.isError) {
    return (
      <Failed
        error={verification.error}
        what="The manifest"
        capability="verifyManifest"
        retry={() => void verification.refetch()}
      />
    );
  }
  const { verified, checks, manifest } = verification.data;
  return (
    <div className="flex flex-col gap-4 p-3">
      <CheckList
        verified={verified}
        checks={checks.map((check) => ({ ...check, name: String(check.name) }))}
      />
      {manifest.decision_allow === false && (
        <p className="rounded-md bg-warn-soft px-3 py-2 text-warn">
          The call that it is about was denied, and made all the same.
        </p>
      )}
      <Facts>
        <Fact name="Manifest">
          <Id value={manifest.id} />
        </Fact>
        <Fact name="Signed">
          <Time at={manifest.timestamp} />
        </Fact>
        <Fact name="Tool">
          {manifest.tenant}/{manifest.tool}
        </Fact>
        <Fact name="Action">{manifest.action}</Fact>
        <Fact name="Purpose">
          {manifest.purpose ?? <span className="text-faint">none stated</span>}
        </Fact>
        <Fact name="Agent">
          {manifest.agent ?? <span className="text-faint">none stated</span>}
        </Fact>
        {manifest.principal && (
          <Fact name="Principal">
            <Actor id={manifest.principal} />
          </Fact>
        )}
        <Fact name="Payload hash">
          <Id value={manifest.payload_hash} short />
        </Fact>
        <Fact name="Decision">
          {manifest.decision_id ? (
            <TextLink href={href("/decisions/", { open: manifest.decision_id })}>
              {manifest.decision_id}
            </TextLink>
          ) : (
            <span className="text-faint">none named</span>
          )}
        </Fact>
      </Facts>
      {Object.keys(manifest.metadata).length > 0 && (
        <Json value={manifest.metadata} label="metadata" />
      )}
    </div>
  );
}
