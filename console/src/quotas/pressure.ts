import type { QuotaUsage } from "@/api/quotas";

/** The used share of the limit; `null` when it is counted without one. */
export function shareOf({ usage, limit }: QuotaUsage): number | null {
  if (limit === null || limit === undefined) return null;
  return limit === 0 ? 1 : usage / limit;
}

/**
 * When the limit is reached if the window goes on as it went so far; `null` when it is not reached
 * in this window, or nothing can be said.
 */
export function exhaustedAt(quota: QuotaUsage, now: number): number | null {
  const { limit, usage } = quota;
  if (!limit || usage === 0) return null;
  const start = Date.parse(quota.window_start);
  const passed = now - start;
  if (usage >= limit) return now;
  if (passed <= 0) return null;
  const at = start + (limit / usage) * passed;
  return at < Date.parse(quota.resets_at) ? at : null;
}
