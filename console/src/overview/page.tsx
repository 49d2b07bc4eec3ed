"use client";

import dynamic from "next/dynamic";
import { useRouter } from "next/navigation";
import { type ReactNode, useMemo } from "react";
import { RANGE_MS, RANGES, type Range, rangeOf } from "@/decisions/filter";
import { useMay } from "@/session/store";
import { Choice } from "@/ui/choice";
import { TextLink } from "@/ui/link";
import { duration, grouped } from "@/ui/number";
import { Panel } from "@/ui/panel";
import { Failed, Forbidden } from "@/ui/states";
import { Time } from "@/ui/time";
import { href, useUrlState } from "@/ui/url-state";
import { useStickyRange } from "./range";
import { type Series, type Summary, seriesOf, summaryOf } from "./series";
import { KillsInForce, PolicyInForce, QuotaPressure, UpstreamHealth } from "./standing";
import { usePoints } from "./use-points";

const Chart = dynamic(() => import("./chart"), {
  ssr: false,
  loading: () => <div className="h-[212px] animate-pulse rounded bg-raised" />,
});

const BINS = 90;
const SHOWN: Exclude<Range, "any">[] = ["15m", "1h", "6h", "24h"];

export function OverviewPage() {
  const maySee = useMay("seeDecisions");
  return maySee ? <Overview /> : <Forbidden capability="seeDecisions" />;
}

function Overview() {
  const router = useRouter();
  const [query, set] = useUrlState();
  const [range, chooseRange] = useStickyRange(rangeOf(query.get("range")));
  const rangeMs = RANGE_MS[range];
  const { points, coveredFrom, now, perSecond, pending, error, retry } = usePoints(rangeMs);
  const from = now - rangeMs;
  const series = useMemo(() => seriesOf(points, from, now, BINS), [points, from, now]);
  const summary = useMemo(() => summaryOf(points), [points]);
  const choose = (next: Exclude<Range, "any">) => {
    chooseRange(next);
    set({ range: next });
  };
  const zoom = (start: number, end: number) =>
    router.push(
      href("/decisions/", { from: new Date(start).toISOString(), to: new Date(end).toISOString() }),
    );

  return (
    <div className="flex flex-col gap-3 p-3">
      <div className="flex flex-wrap items-center gap-3">
        <Choice
          label="Time range"
          value={range}
          onChange={choose}
          options={RANGES.filter((value): value is Exclude<Range, "any"> =>
            SHOWN.includes(value as never),
          ).map((value) => ({ value, label: value.replace("m", " min").replace("h", " h") }))}
        />
        {coveredFrom !== null && (
          <p className="text-xs text-warn">
            More decisions than are read back: figures and charts cover those since{" "}
            <Time at={new Date(coveredFrom).toISOString()} />.
          </p>
        )}
      </div>
      {error ? (
        <Panel title="Decisions">
          <Failed error={error} what="The decisions" capability="seeDecisions" retry={retry} />
        </Panel>
      ) : (
        <>
          <Figures summary={summary} perSecond={perSecond} pending={pending} range={range} />
          <Charts series={series} summary={summary} onSelect={zoom} range={range} />
        </>
      )}
      <div className="grid gap-3 md:grid-cols-2 2xl:grid-cols-4">
        <KillsInForce />
        <QuotaPressure />
        <PolicyInForce />
        <UpstreamHealth />
      </div>
    </div>
  );
}

interface FiguresProps {
  summary: Summary;
  perSecond: number | null;
  pending: boolean;
  range: Range;
}

function Figures({ summary, perSecond, pending, range }: FiguresProps) {
  const share = summary.total === 0 ? null : summary.denied / summary.total;
  const took = (us: number | null) => (us === null ? "–" : duration(us));
  const decisions = (decision: string | null) => href("/decisions/", { range, decision });
  const figures: [name: string, value: ReactNode, about: ReactNode][] = [
    [
      "Decisions a second",
      perSecond === null ? "unknown" : perSecond.toFixed(1),
      "over the last 10 s",
    ],
    [
      "Decisions",
      grouped(summary.total),
      <TextLink key="all" href={decisions(null)}>
        see them
      </TextLink>,
    ],
    [
      "Allowed",
      <span key="allowed" className="text-allow">
        {grouped(summary.allowed)}
      </span>,
      <TextLink key="allow" href={decisions("allow")}>
        see them
      </TextLink>,
    ],
    [
      "Denied",
      <span key="denied" className="text-deny">
        {grouped(summary.denied)}
      </span>,
      share === null ? (
        "of none"
      ) : (
        <>
          <TextLink href={decisions("deny")}>see them</TextLink>, {(share * 100).toFixed(1)} %
        </>
      ),
    ],
    ["Time p50", took(summary.p50), "from request to durable decision"],
    ["Time p99", took(summary.p99), `p95 ${took(summary.p95)}`],
  ];
  return (
    <dl className="grid grid-cols-2 gap-2 sm:grid-cols-3 xl:grid-cols-6">
      {figures.map(([name, value, about]) => (
        <div key={name} className="rounded-lg border bg-panel px-3 py-2">
          <dt className="text-xs text-muted">{name}</dt>
          <dd>
            <span className="tabular block text-2xl font-semibold leading-8">
              {pending ? "…" : value}
            </span>
            <span className="block truncate text-xs text-faint">{about}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

interface ChartsProps {
  series: Series;
  summary: Summary;
  range: Range;
  onSelect(from: number, to: number): void;
}

function Charts({ series, summary, range, onSelect }: ChartsProps) {
  const rate = useMemo(
    () => [
      { label: "allowed", color: "allow" as const, values: series.allowed, fill: true },
      { label: "denied", color: "deny" as const, values: series.denied, fill: true },
    ],
    [series],
  );
  const took = useMemo(
    () => [
      { label: "p50", color: "accent" as const, values: series.p50 },
      { label: "p99", color: "warn" as const, values: series.p99 },
    ],
    [series],
  );
  return (
    <div className="grid gap-3 lg:grid-cols-2 2xl:grid-cols-3">
      <Panel title="Decisions a second" about="Drag over a part to see its decisions">
        <Chart
          summary={`Decisions a second: ${summary.allowed} allowed and ${summary.denied} denied in the range`}
          times={series.times}
          lines={rate}
          unit=""
          onSelect={onSelect}
        />
      </Panel>
      <Panel title="Time of a decision" about="from request to durable decision">
        <Chart
          summary={`Time of a decision: median ${summary.p50 ?? 0} and p99 ${summary.p99 ?? 0} microseconds`}
          times={series.times}
          lines={took}
          unit=" ms"
          onSelect={onSelect}
        />
      </Panel>
      <Panel title="Denied, by reason" className="lg:col-span-2 2xl:col-span-1">
        <Reasons summary={summary} range={range} />
      </Panel>
    </div>
  );
}

const MOST_REASONS = 8;

function Reasons({ summary, range }: { summary: Summary; range: Range }) {
  const most = summary.reasons[0]?.[1] ?? 1;
  if (summary.reasons.length === 0)
    return <p className="text-muted">Nothing was denied in this range.</p>;
  return (
    <ul className="flex flex-col gap-1.5">
      {summary.reasons.slice(0, MOST_REASONS).map(([code, count]) => (
        <li key={code} className="grid grid-cols-[minmax(0,11rem)_1fr_4rem] items-center gap-2">
          <TextLink
            href={href("/decisions/", { range, code })}
            className="truncate font-mono text-xs"
          >
            {code}
          </TextLink>
          <span aria-hidden className="h-2 rounded-sm bg-raised">
            <span
              className="block h-2 rounded-sm bg-deny/70"
              style={{ width: `${(count / most) * 100}%` }}
            />
          </span>
          <span className="tabular text-right">{grouped(count)}</span>
        </li>
      ))}
    </ul>
  );
}
