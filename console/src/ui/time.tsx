"use client";

import { useSyncExternalStore } from "react";

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time, second by second; one clock for the page. */
export function useNow(): number {
  return useSyncExternalStore(
    subscribe,
    () => now,
    () => 0,
  );
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DATE = new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit" });
const YEAR = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "2-digit",
});
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** In the viewer's zone; the date only when it is not today. */
export function shortTime(at: Date, from: Date): string {
  if (at.toDateString() === from.toDateString()) return CLOCK.format(at);
  const date = at.getFullYear() === from.getFullYear() ? DATE.format(at) : YEAR.format(at);
  return `${date} ${CLOCK.format(at)}`;
}

const UNITS: [limit: number, size: number, unit: string][] = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [Number.POSITIVE_INFINITY, 86_400, "d"],
];

/** `12 s ago`, `in 4 min`. */
export function relativeTime(at: number, from: number): string {
  const seconds = Math.round((at - from) / 1000);
  const size = Math.abs(seconds);
  if (size < 1) return "now";
  const [, per, unit] = UNITS.find(([limit]) => size < limit) ?? [0, 86_400, "d"];
  const amount = `${Math.floor(size / per)} ${unit}`;
  return seconds < 0 ? `${amount} ago` : `in ${amount}`;
}

interface Props {
  at: string;
  relative?: boolean;
  className?: string;
}

/** A time; the exact one on hover. */
export function Time({ at, relative, className }: Props) {
  const current = useNow();
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span className={className}>{at}</span>;
  return (
    <time dateTime={at} title={`${EXACT.format(date)}\n${at}`} className={className}>
      {relative
        ? relativeTime(date.getTime(), Math.max(current, 1))
        : shortTime(date, new Date(current))}
    </time>
  );
}
