import type { QuotaUsage } from "@/api/quotas";
import { cn } from "@/ui/class-names";
import { grouped } from "@/ui/number";
import { shareOf } from "./pressure";

/** What is used of one quota. */
export function Meter({ quota, bare }: { quota: QuotaUsage; bare?: boolean }) {
  const share = shareOf(quota);
  const color =
    share === null
      ? "bg-line-strong"
      : share >= 1
        ? "bg-deny"
        : share >= 0.8
          ? "bg-warn"
          : "bg-accent";
  const name = `${quota.tenant}/${quota.tool}`;
  return (
    <div className="flex min-w-0 flex-col gap-1">
      {!bare && (
        <div className="flex items-baseline gap-2">
          <span className="min-w-0 flex-1 truncate" title={name}>
            <span className="text-faint">{quota.tenant}/</span>
            {quota.tool}
          </span>
          <span className="tabular shrink-0 text-xs text-muted">
            {grouped(quota.usage)} of{" "}
            {quota.limit === null || quota.limit === undefined ? "no limit" : grouped(quota.limit)}{" "}
            per {quota.window}
          </span>
        </div>
      )}
      <div
        role="meter"
        aria-label={`${name} per ${quota.window}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(Math.min(share ?? 0, 1) * 100)}
        className="h-1.5 w-full overflow-hidden rounded-full bg-raised"
      >
        <div
          className={cn("h-full rounded-full", color)}
          style={{ width: `${Math.min(share ?? 0, 1) * 100}%` }}
        />
      </div>
    </div>
  );
}
