"use client";

import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { latestDecisions } from "@/api/decisions";
import { rowOfEvent } from "@/decisions/filter";
import { isEventLine } from "@/live/event";
import { EventStream, type StreamState } from "@/live/stream";
import { useMay } from "@/session/store";
import type { Point } from "./series";

/** Decisions that are read back at most: five requests. */
const MOST_READ = 5_000;
/** Live ones that are kept. Above that the oldest of them go. */
const MOST_LIVE = 200_000;
const DRAW_EVERY_MS = 1_000;

export interface Points {
  points: readonly Point[];
  /** The range goes back further than what was read: the charts begin here. */
  coveredFrom: number | null;
  now: number;
  perSecond: number | null;
  pending: boolean;
  error: unknown;
  retry(): void;
}

/** Decisions of a range: what is recorded, and from then on what arrives. */
export function usePoints(rangeMs: number): Points {
  const mayListen = useMay("listen");
  const from = useMemo(() => new Date(Date.now() - rangeMs).toISOString(), [rangeMs]);
  const read = useQuery({ ...latestDecisions({ from }, MOST_READ), staleTime: 0, gcTime: 0 });
  const live = useRef<{ points: Point[]; ids: Set<string> }>({ points: [], ids: new Set() });
  const readAgain = useRef(read.refetch);
  readAgain.current = read.refetch;
  const [drawn, setDrawn] = useState({ version: 0, now: Date.now() });
  const [state, setState] = useState<StreamState>({ state: "closed" });

  useEffect(() => {
    if (!mayListen) return;
    live.current = { points: [], ids: new Set() };
    const stream = new EventStream("policy.check.*", {
      // What was decided between the reading and now was heard by nobody.
      sync: () => void readAgain.current(),
      event: ({ data }) => {
        const row = isEventLine(data) ? rowOfEvent(data) : null;
        if (row === null) return;
        const { points, ids } = live.current;
        ids.add(row.id);
        points.push({
          at: Date.parse(row.created_at),
          allow: row.decision === "allow",
          code: row.code,
          us: row.duration_us,
        });
        if (points.length > MOST_LIVE) points.splice(0, MOST_LIVE / 10);
      },
      state: setState,
    });
    stream.start();
    const timer = setInterval(
      () => setDrawn(({ version }) => ({ version: version + 1, now: Date.now() })),
      DRAW_EVERY_MS,
    );
    return () => {
      clearInterval(timer);
      stream.stop();
    };
  }, [mayListen]);

  const points = useMemo(() => {
    const start = drawn.now - rangeMs;
    const { points: arrived, ids } = live.current;
    const recorded = (read.data?.items ?? [])
      .filter(({ id }) => !ids.has(id))
      .map(
        (decision): Point => ({
          at: Date.parse(decision.created_at),
          allow: decision.decision === "allow",
          code: decision.code,
          us: decision.duration_us,
        }),
      );
    return [...recorded, ...arrived].filter(({ at }) => at >= start);
  }, [read.data, drawn, rangeMs]);

  const window = drawn.now - 10_000;
  const recent = points.filter(({ at }) => at >= window).length;
  const oldest = read.data?.items.at(-1);
  return {
    points,
    coveredFrom: read.data?.more && oldest ? Date.parse(oldest.created_at) : null,
    now: drawn.now,
    // Without events nothing is known about now.
    perSecond: state.state === "open" ? recent / 10 : null,
    pending: read.isPending,
    error: read.error,
    retry: () => void read.refetch(),
  };
}
