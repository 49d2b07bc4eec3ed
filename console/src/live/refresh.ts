import type { QueryClient } from "@tanstack/react-query";

/** The first part of every query's key, and the events after which it is read again. */
const AFFECTED: readonly [prefix: string, subjects: readonly string[]][] = [
  ["kill_switch.", ["kills", "tools", "ready"]],
  ["registry.tool_", ["tools", "drift", "upstreams"]],
  ["registry.upstream_", ["upstreams", "tools"]],
  ["registry.tenant_", ["tenants"]],
  ["registry.key_", ["keys"]],
  ["policy.data_", ["policy"]],
  ["policy.rollout_", ["policy"]],
  ["policy.activated", ["policy"]],
  ["policy.refused", ["policy"]],
  ["provenance.signed", ["manifests", "checkpoint"]],
];

export function subjectsOf(event: string): readonly string[] {
  return AFFECTED.find(([prefix]) => event.startsWith(prefix))?.[1] ?? [];
}

/** Events that come in bursts refresh at most so often; a kill refreshes at once. */
const PAUSE_MS: Readonly<Record<string, number>> = { manifests: 3_000, checkpoint: 3_000 };
const USUAL_PAUSE_MS = 300;

const waiting = new Map<string, ReturnType<typeof setTimeout>>();

export function refreshAfter(queries: QueryClient, event: string): void {
  const urgent = event.startsWith("kill_switch.");
  for (const subject of subjectsOf(event)) {
    const refresh = () => {
      waiting.delete(subject);
      void queries.invalidateQueries({ queryKey: [subject] });
    };
    if (urgent) refresh();
    else if (!waiting.has(subject)) {
      waiting.set(subject, setTimeout(refresh, PAUSE_MS[subject] ?? USUAL_PAUSE_MS));
    }
  }
}

/** Once a stream is open: what was missed before is not known, so everything is read again. */
export function refreshAll(queries: QueryClient): void {
  void queries.invalidateQueries();
}
