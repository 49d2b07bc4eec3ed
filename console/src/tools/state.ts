import type { Tool } from "@/api/tools";
import type { Tone } from "@/ui/badge";

export const STATES = ["active", "killed", "quarantined", "retired"] as const;
export type ToolState = (typeof STATES)[number];

/** What becomes of a call of the tool before policy is asked. */
export function stateOf(tool: Tool): ToolState {
  if (tool.retired_at) return "retired";
  // `is_active` is false for both: a tool that is killed as well is shown as quarantined.
  if (tool.pin?.quarantine) return "quarantined";
  return tool.is_active ? "active" : "killed";
}

export interface Shown {
  text: string;
  tone: Tone;
  title: string;
}

const SHOWN: Record<ToolState, Shown> = {
  active: { text: "active", tone: "allow", title: "No kill covers it; policy decides each call" },
  killed: { text: "killed", tone: "danger", title: "A kill covers it: every call is denied" },
  quarantined: {
    text: "quarantined",
    tone: "warn",
    title: "Its definition is not approved: every call is denied",
  },
  retired: { text: "retired", tone: "neutral", title: "It cannot be called" },
};

/** `confirmed`: the console hears of kills. Without that nothing is shown as active. */
export function shownState(tool: Tool, confirmed: boolean): Shown {
  const state = stateOf(tool);
  if (state === "active" && !confirmed) {
    return {
      text: "not confirmed",
      tone: "hollow",
      title: "It was active when last read; a kill since then is not known",
    };
  }
  return SHOWN[state];
}

export function shownHealth(tool: Tool): Shown {
  const { health, healthcheck } = tool;
  if (!health) {
    return {
      text: healthcheck ? "not checked" : "no check",
      tone: "hollow",
      title: healthcheck ?? "No health check is registered",
    };
  }
  const title = `${health.detail ?? ""} ${health.latency_ms} ms, ${health.checked_at}`.trim();
  if (health.status === "healthy") return { text: "healthy", tone: "allow", title };
  return { text: health.status, tone: health.status === "refused" ? "warn" : "deny", title };
}

export interface ToolFilter {
  text: string;
  tenant: string;
  state: string;
  health: string;
}

export function readToolFilter(query: URLSearchParams): ToolFilter {
  const value = (name: string) => query.get(name) ?? "";
  return {
    text: value("q"),
    tenant: value("tenant"),
    state: value("state"),
    health: value("health"),
  };
}

export function fitsTool(tool: Tool, { text, tenant, state, health }: ToolFilter): boolean {
  if (tenant !== "" && tool.tenant_slug !== tenant) return false;
  // A retired tool is history: it is shown when asked for.
  if (state === "" ? stateOf(tool) === "retired" : stateOf(tool) !== state) return false;
  if (health !== "" && shownHealth(tool).text !== health) return false;
  const haystack = [
    tool.tenant_slug,
    tool.name,
    tool.owner,
    tool.url,
    ...tool.scopes,
    JSON.stringify(tool.metadata),
  ]
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => haystack.includes(word));
}
