"use client";

import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useDark } from "@/shell/theme";

export interface Line {
  label: string;
  color: "allow" | "deny" | "accent" | "warn";
  values: (number | null)[];
  fill?: boolean;
}

interface Props {
  /** What the chart shows, in words, for those who do not see it. */
  summary: string;
  times: number[];
  lines: Line[];
  unit: string;
  /** The part that was dragged over, in milliseconds. */
  onSelect?(from: number, to: number): void;
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const HEIGHT = 190;

/** Lines over time. */
export default function Chart({ summary, times, lines, unit, onSelect }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useDark();
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [times, ...lines.map(({ values }) => values)];
  const select = useRef(onSelect);
  select.current = onSelect;
  const shape = lines.map(({ label }) => label).join("|");

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours and lines need another chart, values do not
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const axis: uPlot.Axis = {
      stroke: color("faint"),
      font: "11px system-ui",
      grid: { stroke: color("line"), width: 1 },
      ticks: { show: false },
    };
    const chart = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { size: 6 } },
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.15 : 1] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((at) => clock(at)), space: 70, size: 28 },
          {
            ...axis,
            size: 48,
            values: (_, splits) => splits.map((value) => `${round(value)}${unit}`),
          },
        ],
        series: [
          {},
          ...lines.map(
            (line): uPlot.Series => ({
              label: line.label,
              stroke: color(line.color),
              width: 1.5,
              spanGaps: false,
              // A line of one point would not be seen.
              points: { show: !line.fill, size: 3, fill: color(line.color) },
              ...(line.fill ? { fill: `${color(line.color)}22` } : {}),
            }),
          ),
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, "x");
              const to = self.posToVal(self.select.left + self.select.width, "x");
              select.current?.(from * 1000, to * 1000);
            },
          ],
        },
      },
      data.current,
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [dark, shape, unit]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the data are those of these values
  useEffect(() => plot.current?.setData(data.current), [times, lines]);

  return (
    <div>
      <div
        role="img"
        aria-label={summary}
        ref={root}
        className="h-[190px] min-w-0 overflow-hidden"
      />
      <ul className="mt-1 flex gap-4 px-1 text-xs text-muted">
        {lines.map((line) => (
          <li key={line.label} className="inline-flex items-center gap-1.5">
            <span aria-hidden className={`h-0.5 w-3.5 ${SWATCHES[line.color]}`} />
            {line.label}
          </li>
        ))}
      </ul>
    </div>
  );
}

const SWATCHES = { allow: "bg-allow", deny: "bg-deny", accent: "bg-accent", warn: "bg-warn" };

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

function clock(seconds: number): string {
  return CLOCK.format(seconds * 1000);
}

function round(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)}k` : String(Number(value.toPrecision(3)));
}
