/** One decision, as the charts need it. */
export interface Point {
  at: number;
  allow: boolean;
  code: string;
  us: number;
}

export interface Series {
  /** Start of each bin, in seconds, as uPlot has it. */
  times: number[];
  allowed: number[];
  denied: number[];
  /** Milliseconds; `null` where there was no decision. */
  p50: (number | null)[];
  p99: (number | null)[];
}

/** The value below which `share` of the sorted values are. */
export function percentile(sorted: readonly number[], share: number): number | null {
  if (sorted.length === 0) return null;
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? null;
}

const ascending = (a: number, b: number) => a - b;

/** Decisions a second and their time, over a range in so many bins. */
export function seriesOf(points: readonly Point[], from: number, to: number, bins: number): Series {
  const width = (to - from) / bins;
  const seconds = width / 1000;
  const allowed = new Array<number>(bins).fill(0);
  const denied = new Array<number>(bins).fill(0);
  const took: number[][] = Array.from({ length: bins }, () => []);
  for (const { at, allow, us } of points) {
    const bin = Math.floor((at - from) / width);
    if (bin < 0 || bin >= bins) continue;
    const counts = allow ? allowed : denied;
    counts[bin] = (counts[bin] ?? 0) + 1;
    took[bin]?.push(us);
  }
  const ms = (share: number) =>
    took.map((values) => {
      const value = percentile(values.toSorted(ascending), share);
      return value === null ? null : value / 1000;
    });
  return {
    times: Array.from({ length: bins }, (_, bin) => (from + bin * width) / 1000),
    allowed: allowed.map((count) => count / seconds),
    denied: denied.map((count) => count / seconds),
    p50: ms(0.5),
    p99: ms(0.99),
  };
}

export interface Summary {
  total: number;
  allowed: number;
  denied: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  /** Denies by reason code, most first. */
  reasons: [code: string, count: number][];
}

export function summaryOf(points: readonly Point[]): Summary {
  const reasons = new Map<string, number>();
  let allowed = 0;
  for (const { allow, code } of points) {
    if (allow) allowed += 1;
    else reasons.set(code, (reasons.get(code) ?? 0) + 1);
  }
  const took = points.map(({ us }) => us).sort(ascending);
  return {
    total: points.length,
    allowed,
    denied: points.length - allowed,
    p50: percentile(took, 0.5),
    p95: percentile(took, 0.95),
    p99: percentile(took, 0.99),
    reasons: [...reasons].sort(([, a], [, b]) => b - a),
  };
}
