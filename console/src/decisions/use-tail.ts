"use client";

import { useEffect, useRef, useState } from "react";
import { isEventLine } from "@/live/event";
import { EventStream, type StreamState } from "@/live/stream";
import { eventTypes, fits, rowOfEvent, type Wanted } from "./filter";
import { Tail, type TailView } from "./tail";

const NOTHING: TailView = { rows: [], arrived: 0, leftOut: 0, perSecond: 0 };
/** Five drawings a second are as many as an eye follows. */
const DRAW_EVERY_MS = 200;
const OPEN_AFTER_MS = 150;

export interface LiveTail extends TailView {
  state: StreamState;
  /** Events were missed for good since the tail began. */
  gap: boolean;
}

/**
 * Decisions as they are made. `frozen`: what is shown stays, and what arrives is still counted.
 * `onOpen` is to read what was decided before the stream was open, or some of it is never shown.
 */
export function useTail(
  wanted: Wanted,
  on: boolean,
  frozen: boolean,
  onOpen: () => void,
): LiveTail {
  const [view, setView] = useState<TailView>(NOTHING);
  const [state, setState] = useState<StreamState>({ state: "closed" });
  const [gap, setGap] = useState(false);
  const latest = useRef({ wanted, frozen, onOpen });
  latest.current = { wanted, frozen, onOpen };
  const types = eventTypes(wanted);
  const { range: _, ...rest } = wanted;
  const selection = JSON.stringify(rest);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another selection is another tail
  useEffect(() => {
    setView(NOTHING);
    setGap(false);
    if (!on) return;
    const tail = new Tail();
    const stream = new EventStream(types, {
      sync: (sync) => {
        if (sync.gap) setGap(true);
        latest.current.onOpen();
      },
      event: ({ data }) => {
        const row = isEventLine(data) ? rowOfEvent(data) : null;
        if (row && fits(row, latest.current.wanted)) tail.offer(row);
      },
      state: setState,
    });
    // While the user types, no stream is opened for each letter.
    const opening = setTimeout(() => stream.start(), OPEN_AFTER_MS);
    let drawn = 0;
    const timer = setInterval(() => {
      const next = tail.draw(performance.now());
      // A tail at rest is not drawn again.
      if (next.arrived === drawn && next.perSecond === 0) return;
      drawn = next.arrived;
      setView((before) => (latest.current.frozen ? { ...next, rows: before.rows } : next));
    }, DRAW_EVERY_MS);
    const online = () => stream.retry();
    const offline = () => stream.offline();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    return () => {
      clearTimeout(opening);
      clearInterval(timer);
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
      stream.stop();
    };
  }, [on, types, selection]);

  return { ...view, state, gap };
}
