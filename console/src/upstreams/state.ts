import type { Upstream } from "@/api/upstreams";
import type { Tone } from "@/ui/badge";

const TONES: Record<string, Tone> = {
  up: "allow",
  connecting: "warn",
  paused: "warn",
  down: "deny",
};

/** How the connection does, as the server that answered has it; without that it is not known. */
export function shownUpstream({ status }: Upstream): { text: string; tone: Tone } {
  if (!status) return { text: "unknown", tone: "hollow" };
  return { text: status.state, tone: TONES[status.state] ?? "neutral" };
}

/** `stdio node server.mjs`, `http https://…`. */
export function transportText({ transport }: Upstream): string {
  if (typeof transport === "string") return transport;
  const [kind, value] =
    Object.entries(transport as Record<string, { command?: string[]; url?: string }>)[0] ?? [];
  if (kind === undefined) return "unknown";
  return `${kind} ${value?.url ?? value?.command?.join(" ") ?? ""}`.trim();
}
