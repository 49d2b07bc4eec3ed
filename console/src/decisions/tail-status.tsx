import { grouped } from "@/ui/number";
import type { LiveTail } from "./use-tail";

/** How fast decisions arrive, and how many of them are not shown. */
export function TailStatus({ tail, atTop }: { tail: LiveTail; atTop: boolean }) {
  const rate =
    tail.perSecond >= 10 ? grouped(Math.round(tail.perSecond)) : tail.perSecond.toFixed(1);
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-0.5 border-b bg-raised px-3 py-1 text-xs text-muted">
      {tail.state.state === "open" ? (
        <span>
          Live: <b className="tabular text-fg">{rate}</b> a second, {grouped(tail.arrived)} since
          you came
        </span>
      ) : (
        <span className="text-deny">
          The tail is not connected: newer decisions are missing here
        </span>
      )}
      {tail.leftOut > 0 && (
        <span className="text-warn">
          Sampled: <b className="tabular">{grouped(tail.leftOut)}</b> are left out of the table,
          allows before denies. All are recorded; filter or pause to read them.
        </span>
      )}
      {tail.gap && <span className="text-warn">Some events were missed: reload to read them</span>}
      {!atTop && (
        <span className="text-accent">Held while you read. Scroll to the top to go on.</span>
      )}
    </div>
  );
}
