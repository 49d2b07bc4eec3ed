import type { DecisionFilter } from "@/api/decisions";
import type { EventLine } from "@/live/event";

/** What the address says is wanted. `text` selects among what was read; the rest the server does. */
export interface Wanted extends DecisionFilter {
  text: string;
  range: Range;
}

export const RANGES = ["any", "15m", "1h", "6h", "24h"] as const;
export type Range = (typeof RANGES)[number];

export const RANGE_MS: Record<Exclude<Range, "any">, number> = {
  "15m": 900_000,
  "1h": 3_600_000,
  "6h": 21_600_000,
  "24h": 86_400_000,
};

export const TEXT_FIELDS = ["tenant", "tool", "agent", "code"] as const;

export function rangeOf(text: string | null): Range {
  return RANGES.find((range) => range === text) ?? "any";
}

export function readFilter(query: URLSearchParams): Wanted {
  const decision = query.get("decision");
  const wanted: Wanted = { text: query.get("q") ?? "", range: rangeOf(query.get("range")) };
  for (const field of TEXT_FIELDS) {
    const value = query.get(field);
    if (value) wanted[field] = value;
  }
  if (decision === "allow" || decision === "deny") wanted.decision = decision;
  for (const field of ["from", "to"] as const) {
    const value = query.get(field);
    if (value && !Number.isNaN(Date.parse(value))) wanted[field] = value;
  }
  return wanted;
}

/** What the server is asked for; the start of a relative range is fixed when it is asked. */
export function serverFilter({ text: _, range, ...filter }: Wanted, now: number): DecisionFilter {
  if (range === "any" || filter.from) return filter;
  return { ...filter, from: new Date(now - RANGE_MS[range]).toISOString() };
}

/** Whether anything but the live tail itself is asked for. */
export function isEmpty(wanted: Wanted): boolean {
  return (
    Object.entries(wanted).every(([name, value]) => name === "range" || value === "") &&
    wanted.range === "any"
  );
}

/** The events that can fit, so that the server sends no others. */
export function eventTypes({ decision }: Wanted): string {
  return decision === undefined ? "policy.check.*" : `policy.check.${decision}`;
}

export interface Searched {
  tenant: string;
  tool: string;
  code: string;
  reason: string;
  principal: string;
  action: string;
  agent?: string | null;
  purpose?: string | null;
  id: string;
}

/** Whether each word of the text is somewhere in the decision. */
export function fitsText(row: Searched, text: string): boolean {
  if (text === "") return true;
  const haystack = [
    row.tenant,
    row.tool,
    row.code,
    row.reason,
    row.principal,
    row.action,
    row.agent,
    row.purpose,
    row.id,
  ]
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}

/** The same selection as the server's, for a decision that arrives by event. */
export function fits(row: Searched & { decision: string }, wanted: Wanted): boolean {
  return (
    (wanted.tenant === undefined || row.tenant === wanted.tenant) &&
    (wanted.tool === undefined || row.tool === wanted.tool) &&
    (wanted.agent === undefined || row.agent === wanted.agent) &&
    (wanted.code === undefined || row.code === wanted.code) &&
    (wanted.decision === undefined || row.decision === wanted.decision) &&
    fitsText(row, wanted.text)
  );
}

/** A decision as the table shows it: from the listing, or from an event. */
export interface Row extends Searched {
  decision: string;
  created_at: string;
  duration_us: number;
  quota_remaining: number | null;
  sequence: number;
}

export function rowOfEvent({
  event,
  tenant,
  tool,
  reason,
  timestamp,
  metadata,
}: EventLine): Row | null {
  const text = (name: string) => {
    const value = metadata[name];
    return typeof value === "string" ? value : null;
  };
  const number = (name: string) => {
    const value = metadata[name];
    return typeof value === "number" ? value : null;
  };
  const id = text("decision_id");
  if (id === null) return null;
  return {
    id,
    // Whatever is not called an allow is none.
    decision: event === "policy.check.allow" ? "allow" : "deny",
    tenant: tenant ?? "",
    tool: tool ?? "",
    code: text("code") ?? "unknown",
    reason: reason ?? "",
    principal: text("principal") ?? "",
    action: text("action") ?? "",
    agent: text("agent"),
    purpose: text("purpose"),
    created_at: timestamp,
    duration_us: number("duration_us") ?? 0,
    quota_remaining: number("quota_remaining"),
    sequence: number("sequence") ?? 0,
  };
}
