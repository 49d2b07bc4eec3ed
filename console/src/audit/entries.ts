import type { Kill } from "@/api/kills";
import type { PolicyChange } from "@/api/policy";
import { inWords, targetOf } from "@/kills/target";
import type { EventLine } from "@/live/event";

/** Something that somebody changed. */
export interface Entry {
  id: string;
  at: string;
  kind: string;
  subject: string;
  actor: string;
  reason: string | null;
  epoch: number | null;
  source: "policy" | "kill" | "event";
}

export function ofPolicy(change: PolicyChange): Entry {
  return {
    id: change.id,
    at: change.at,
    kind: `policy ${change.kind.replaceAll("_", " ")}`,
    subject: change.path ?? change.revision ?? change.detail ?? "",
    actor: change.author ?? change.actor,
    reason: change.reason ?? change.detail ?? null,
    epoch: change.epoch ?? null,
    source: "policy",
  };
}

/** A kill, and its end where someone restored it. */
export function ofKill(kill: Kill): Entry[] {
  const target = targetOf(kill);
  const subject = target ? inWords(target) : kill.scope;
  const made: Entry = {
    id: kill.kill_id,
    at: kill.created_at,
    kind: "kill",
    subject,
    actor: kill.actor,
    reason: kill.reason,
    epoch: kill.epoch,
    source: "kill",
  };
  if (!kill.restored_at || !kill.restored_by) return [made];
  const restored: Entry = {
    ...made,
    id: `${kill.kill_id} restored`,
    at: kill.restored_at,
    kind: "restore",
    actor: kill.restored_by,
    epoch: null,
  };
  return [restored, made];
}

/** A registry event; others are in the listings already. */
export function ofEvent(line: EventLine): Entry | null {
  if (!line.event.startsWith("registry.")) return null;
  const { subject, actor, epoch } = line.metadata;
  return {
    id: `${line.event} ${line.timestamp} ${String(subject)}`,
    at: line.timestamp,
    kind: line.event.replace("registry.", "").replaceAll("_", " "),
    subject: [...new Set([line.tenant, subject])]
      .filter((part) => typeof part === "string")
      .join("/"),
    actor: typeof actor === "string" ? actor : "",
    reason: null,
    epoch: typeof epoch === "number" ? epoch : null,
    source: "event",
  };
}
