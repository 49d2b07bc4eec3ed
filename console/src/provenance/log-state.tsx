"use client";

import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { checkpoint, signingKeys, trustedRoot } from "@/api/manifests";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Code } from "@/ui/code";
import { Id } from "@/ui/copy";
import { grouped } from "@/ui/number";
import { Fact, Facts, Panel } from "@/ui/panel";
import { saveAs } from "@/ui/save";
import { Failed, Loading } from "@/ui/states";
import { Time } from "@/ui/time";

/** The signed state of the transparency log, and the keys that sign manifests. */
export function LogState() {
  return (
    <div className="grid min-h-0 flex-1 content-start gap-3 overflow-y-auto bg-bg p-3 lg:grid-cols-2">
      <Checkpoint />
      <Keys />
    </div>
  );
}

function Checkpoint() {
  const note = useQuery(checkpoint);
  const root = useQuery(trustedRoot);
  const [origin, size, hash] = note.data?.split("\n") ?? [];
  const signatures = note.data?.split("\n").filter((line) => line.startsWith("— ")) ?? [];
  return (
    <Panel
      title="Checkpoint of the log"
      actions={
        <Button
          size="sm"
          disabled={!root.data}
          onClick={() =>
            saveAs(
              new Blob([JSON.stringify(root.data, null, 2)], { type: "application/json" }),
              "trusted-root.json",
            )
          }
        >
          <Download aria-hidden /> Trusted root
        </Button>
      }
    >
      {note.isError ? (
        <Failed error={note.error} what="The checkpoint" retry={() => void note.refetch()} />
      ) : note.isPending ? (
        <Loading what="The checkpoint" rows={4} />
      ) : (
        <div className="flex flex-col gap-3">
          <Facts>
            <Fact name="Log">{origin}</Fact>
            <Fact name="Entries">
              <span className="tabular">{grouped(Number(size))}</span>
            </Fact>
            <Fact name="Root hash">
              <Id value={hash ?? ""} />
            </Fact>
            <Fact name="Signatures">
              {signatures.length === 1
                ? "the log's own; no witness"
                : `the log's own and ${signatures.length - 1} of witnesses`}
            </Fact>
          </Facts>
          <Code text={note.data} label="the checkpoint" />
        </div>
      )}
    </Panel>
  );
}

function Keys() {
  const keys = useQuery(signingKeys);
  return (
    <Panel title="Signing keys" about="Retired keys stay valid for what they signed">
      {keys.isError ? (
        <Failed error={keys.error} what="The signing keys" retry={() => void keys.refetch()} />
      ) : keys.isPending ? (
        <Loading what="The signing keys" rows={4} />
      ) : (
        <ul className="flex flex-col gap-3">
          {keys.data.items.map((key) => (
            <li key={key.hint} className="rounded-md border p-2.5">
              <div className="flex items-center gap-2">
                <Id value={key.hint} />
                <Badge
                  tone={
                    key.state === "active" ? "allow" : key.state === "revoked" ? "deny" : "neutral"
                  }
                >
                  {key.state}
                </Badge>
              </div>
              <ol className="mt-1.5 flex flex-col gap-0.5">
                {key.events.map((event) => (
                  <li key={`${event.event} ${event.at}`} className="flex gap-2 text-muted">
                    <span className="w-24">{event.event}</span>
                    <Time at={event.at} />
                    {event.log_index !== null && event.log_index !== undefined && (
                      <span>entry {event.log_index}</span>
                    )}
                    {event.reason && <span className="min-w-0 truncate">{event.reason}</span>}
                  </li>
                ))}
              </ol>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
