"use client";

import { useQuery } from "@tanstack/react-query";
import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { latestDecisions } from "@/api/decisions";
import type { Tool } from "@/api/tools";
import { Verdict } from "@/decisions/verdict";
import { useMay } from "@/session/store";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Json } from "@/ui/code";
import { Id } from "@/ui/copy";
import { TextLink } from "@/ui/link";
import { Fact, Facts } from "@/ui/panel";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { Time } from "@/ui/time";
import { href } from "@/ui/url-state";
import { HealthBadge, StateBadge } from "./badges";
import { Definition } from "./definition";
import { EditDialog, RetireDialog } from "./form";

interface Props {
  tool: Tool;
  tab: string;
  onTab(tab: string): void;
}

export function ToolDetail({ tool, tab, onTab }: Props) {
  const tabs = [
    { value: "about", label: "About" },
    ...(tool.pin
      ? [
          {
            value: "definition",
            label: tool.pin.quarantine ? (
              <>
                Definition <Badge tone="warn">review</Badge>
              </>
            ) : (
              "Definition"
            ),
          },
        ]
      : []),
    { value: "decisions", label: "Decisions" },
  ];
  const shown = tabs.some(({ value }) => value === tab) ? tab : "about";
  return (
    <Tabs label="About the tool" value={shown} onChange={onTab} tabs={tabs}>
      <div className="p-3">
        {shown === "about" && <About tool={tool} />}
        {shown === "definition" && <Definition tool={tool} />}
        {shown === "decisions" && <LatestDecisions tool={tool} />}
      </div>
    </Tabs>
  );
}

function About({ tool }: { tool: Tool }) {
  const mayChange = useMay("changeTool");
  const mayRetire = useMay("retireTool");
  const [dialog, setDialog] = useState<"edit" | "retire" | null>(null);
  const { description, ...metadata } = tool.metadata;
  return (
    <div className="flex flex-col gap-4">
      {typeof description === "string" && <p>{description}</p>}
      <Facts>
        <Fact name="State">
          <StateBadge tool={tool} />
        </Fact>
        <Fact name="Health">
          <HealthBadge tool={tool} />
          {tool.health?.detail && <span className="ml-2 text-muted">{tool.health.detail}</span>}
        </Fact>
        <Fact name="Address">
          <code className="font-mono text-xs">{tool.url}</code>
        </Fact>
        <Fact name="Health check">
          {tool.healthcheck ? (
            <code className="font-mono text-xs">{tool.healthcheck}</code>
          ) : (
            <span className="text-faint">none</span>
          )}
        </Fact>
        <Fact name="Owner">{tool.owner}</Fact>
        <Fact name="Scopes">
          <span className="flex flex-wrap gap-1">
            {tool.scopes.length === 0 && <span className="text-faint">none</span>}
            {tool.scopes.map((scope) => (
              <Badge key={scope}>{scope}</Badge>
            ))}
          </span>
        </Fact>
        <Fact name="Identifier">
          <Id value={tool.id} />
        </Fact>
        <Fact name="Digest">
          <Id value={tool.digest} short />
        </Fact>
        <Fact name="Registered">
          <Time at={tool.created_at} />
        </Fact>
        <Fact name="Changed">
          <Time at={tool.updated_at} />
        </Fact>
        {tool.retired_at && (
          <Fact name="Retired">
            <Time at={tool.retired_at} />
          </Fact>
        )}
      </Facts>
      {Object.keys(metadata).length > 0 && <Json value={metadata} label="metadata" />}
      {!tool.retired_at && (
        <div className="flex gap-2">
          {mayChange && (
            <Button size="sm" onClick={() => setDialog("edit")}>
              <Pencil aria-hidden /> Edit
            </Button>
          )}
          {mayRetire && (
            <Button size="sm" kind="dangerGhost" onClick={() => setDialog("retire")}>
              <Trash2 aria-hidden /> Retire
            </Button>
          )}
        </div>
      )}
      {dialog === "edit" && <EditDialog tool={tool} onClose={() => setDialog(null)} />}
      {dialog === "retire" && <RetireDialog tool={tool} onClose={() => setDialog(null)} />}
    </div>
  );
}

const LATEST = 50;

function LatestDecisions({ tool }: { tool: Tool }) {
  const maySee = useMay("seeDecisions");
  const filter = { tenant: tool.tenant_slug, tool: tool.name };
  const decisions = useQuery({ ...latestDecisions(filter, LATEST), enabled: maySee, staleTime: 0 });
  if (!maySee) return <Forbidden capability="seeDecisions" />;
  if (decisions.isError) {
    return (
      <Failed error={decisions.error} what="The decisions" retry={() => void decisions.refetch()} />
    );
  }
  if (decisions.isPending) return <Loading what="The decisions" />;
  const items = decisions.data.items.slice(0, LATEST);
  if (items.length === 0)
    return <Empty title="It was never called">Decisions about it appear here.</Empty>;
  return (
    <>
      <ul className="rounded-md border">
        {items.map((decision) => (
          <li
            key={decision.id}
            className="flex items-center gap-2 border-b px-2.5 py-1.5 last:border-0"
          >
            <Verdict decision={decision.decision} />
            <TextLink
              href={href("/decisions/", { open: decision.id, ...filter })}
              className="min-w-0 flex-1 truncate"
            >
              {decision.reason}
            </TextLink>
            <span className="hidden text-muted sm:inline">{decision.agent}</span>
            <Time at={decision.created_at} className="tabular text-xs text-faint" />
          </li>
        ))}
      </ul>
      <p className="mt-2">
        <TextLink href={href("/decisions/", filter)}>All decisions about this tool</TextLink>
      </p>
    </>
  );
}
