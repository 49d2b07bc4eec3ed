"use client";

import { useQuery } from "@tanstack/react-query";
import { Download, Pause, Play, Search, X } from "lucide-react";
import { useState } from "react";
import { send } from "@/api/client";
import { Problem, problemOf } from "@/api/problem";
import { allTools } from "@/api/tools";
import { useMay } from "@/session/store";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Input, Select, Suggest } from "@/ui/field";
import { saveAs } from "@/ui/save";
import { notify } from "@/ui/toast";
import { Views } from "@/ui/views";
import { isEmpty, RANGES, type Range, serverFilter, type Wanted } from "./filter";
import { CODES } from "./steps";

interface Props {
  wanted: Wanted;
  set(values: Record<string, string | null>): void;
  live: boolean;
  mayTail: boolean;
}

const RANGE_NAMES: Record<Range, string> = {
  any: "Any time",
  "15m": "15 m",
  "1h": "1 h",
  "6h": "6 h",
  "24h": "24 h",
};

export function Toolbar({ wanted, set, live, mayTail }: Props) {
  const tools = useQuery(allTools);
  const known = tools.data?.items ?? [];
  const tenants = [...new Set(known.map(({ tenant_slug }) => tenant_slug))].sort();
  const names = known
    .filter(({ tenant_slug }) => !wanted.tenant || tenant_slug === wanted.tenant)
    .map(({ name }) => name);
  return (
    <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
      <div className="relative min-w-40 flex-1 basis-52">
        <Search aria-hidden className="absolute left-2.5 top-2 size-4 text-faint" />
        <Input
          data-search
          aria-label="Search what was read"
          className="pl-8"
          placeholder="Search reason, principal, purpose…"
          value={wanted.text}
          onChange={(event) => set({ q: event.target.value })}
        />
      </div>
      <Select
        aria-label="Decision"
        className="max-w-28"
        value={wanted.decision ?? ""}
        onChange={(event) => set({ decision: event.target.value })}
      >
        <option value="">All</option>
        <option value="allow">Allow</option>
        <option value="deny">Deny</option>
      </Select>
      <Select
        aria-label="Reason code"
        className="max-w-44"
        value={wanted.code ?? ""}
        onChange={(event) => set({ code: event.target.value })}
      >
        <option value="">Any code</option>
        {CODES.map((code) => (
          <option key={code}>{code}</option>
        ))}
      </Select>
      <span className="w-36">
        <Suggest
          aria-label="Tenant"
          placeholder="Tenant"
          options={tenants}
          value={wanted.tenant ?? ""}
          onChange={(event) => set({ tenant: event.target.value })}
        />
      </span>
      <span className="w-44">
        <Suggest
          aria-label="Tool"
          placeholder="Tool"
          options={[...new Set(names)]}
          value={wanted.tool ?? ""}
          onChange={(event) => set({ tool: event.target.value })}
        />
      </span>
      <span className="w-36">
        <Input
          aria-label="Agent"
          placeholder="Agent"
          value={wanted.agent ?? ""}
          onChange={(event) => set({ agent: event.target.value })}
        />
      </span>
      <Choice
        label="Time range"
        value={wanted.range}
        onChange={(range) => set({ range: range === "any" ? null : range, from: null, to: null })}
        options={RANGES.map((value) => ({ value, label: RANGE_NAMES[value] }))}
      />
      {(wanted.from || wanted.to) && (
        <Button
          size="sm"
          onClick={() => set({ from: null, to: null })}
          title={`${wanted.from ?? ""} – ${wanted.to ?? ""}`}
        >
          From a chart <X aria-hidden />
        </Button>
      )}
      <div className="ml-auto flex items-center gap-2">
        {!isEmpty(wanted) && (
          <Button
            size="sm"
            kind="ghost"
            onClick={() =>
              set({
                q: null,
                decision: null,
                code: null,
                tenant: null,
                tool: null,
                agent: null,
                range: null,
                from: null,
                to: null,
              })
            }
          >
            <X aria-hidden /> Clear
          </Button>
        )}
        <Views page="decisions" />
        <Export wanted={wanted} />
        {mayTail && (
          <Button
            kind={live ? "primary" : "secondary"}
            aria-pressed={live}
            onClick={() => set({ live: live ? "off" : null })}
          >
            {live ? <Pause aria-hidden /> : <Play aria-hidden />}
            {live ? "Pause" : "Go live"}
          </Button>
        )}
      </div>
    </div>
  );
}

function Export({ wanted }: { wanted: Wanted }) {
  const mayExport = useMay("exportDecisions");
  const [busy, setBusy] = useState(false);
  if (!mayExport) return null;
  const run = async () => {
    setBusy(true);
    try {
      const query = new URLSearchParams(
        Object.entries(serverFilter(wanted, Date.now())).filter(
          ([, value]) => value !== undefined,
        ) as [string, string][],
      );
      const response = await send(`${window.location.origin}/v1/decisions/export?${query}`);
      if (!response.ok)
        throw Problem.from(response.status, await response.json().catch(() => null));
      saveAs(await response.blob(), "decisions.ndjson");
    } catch (error) {
      notify({ tone: "deny", title: "Nothing was exported", detail: problemOf(error).detail });
    } finally {
      setBusy(false);
    }
  };
  return (
    <Button
      size="sm"
      disabled={busy}
      onClick={() => void run()}
      title="Everything that the filters select, a JSON object a line"
    >
      <Download aria-hidden /> {busy ? "Exporting…" : "Export"}
    </Button>
  );
}
