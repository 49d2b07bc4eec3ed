import type { Schemas } from "@/api/client";

/** An event of the stream, as `/v1/events` and `/v1/ws` send it. */
export interface EventLine {
  event: string;
  tenant?: string;
  tool?: string;
  reason?: string;
  timestamp: string;
  metadata: Record<string, unknown>;
}

export type SyncEvent = Schemas["SyncEvent"];

/** What arrives: `sync` first and after a gap, `closed` last, events in between. */
export interface Message {
  id: string | null;
  event: string;
  data: unknown;
}

/** Reads one text frame of the WebSocket. */
export function readFrame(frame: string): Message | null {
  try {
    const value: unknown = JSON.parse(frame);
    if (typeof value !== "object" || value === null) return null;
    const { id, event, data } = value as Record<string, unknown>;
    if (typeof event !== "string") return null;
    return { id: typeof id === "string" ? id : null, event, data };
  } catch {
    return null;
  }
}

export function isEventLine(data: unknown): data is EventLine {
  if (typeof data !== "object" || data === null) return false;
  const line = data as Partial<EventLine>;
  return (
    typeof line.event === "string" &&
    typeof line.timestamp === "string" &&
    typeof line.metadata === "object" &&
    line.metadata !== null
  );
}
