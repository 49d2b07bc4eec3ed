"use client";

import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { end, useMay } from "@/session/store";
import { type EventLine, isEventLine } from "./event";
import { refreshAfter, refreshAll } from "./refresh";
import { EventStream, type StreamState } from "./stream";

/** Everything but the decisions, which only the pages that show them subscribe to. */
const TYPES =
  "kill_switch.*,registry.*,provenance.signed,policy.activated,policy.refused,policy.data_put,policy.data_removed,policy.rollout_started,policy.rollout_promoted,policy.rollout_dropped,gateway.*";

type Listener = (line: EventLine) => void;

interface Live {
  state: StreamState;
  epoch: number | null;
  retry(): void;
  listen(listener: Listener): () => void;
}

const LiveContext = createContext<Live | null>(null);

/** Keeps what is shown true: every event refreshes what it changed, every loss is told. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const mayListen = useMay("listen");
  const [state, setState] = useState<StreamState>({ state: "connecting" });
  const [epoch, setEpoch] = useState<number | null>(null);
  const listeners = useRef(new Set<Listener>());
  const stream = useRef<EventStream | null>(null);

  useEffect(() => {
    if (!mayListen) {
      setState({ state: "closed" });
      return;
    }
    const current = new EventStream(TYPES, {
      sync: (sync) => {
        setEpoch(sync.epoch);
        // What was read before the stream was open may have changed in between, unheard.
        refreshAll(queries);
      },
      event: ({ data }) => {
        if (!isEventLine(data)) return;
        if (typeof data.metadata.epoch === "number") setEpoch(data.metadata.epoch);
        refreshAfter(queries, data.event);
        for (const listener of listeners.current) listener(data);
      },
      state: (next) => {
        setState(next);
        if (next.state === "refused" && next.problem.signedOut) end("refused");
      },
    });
    stream.current = current;
    current.start();
    const online = () => current.retry();
    const offline = () => current.offline();
    window.addEventListener("online", online);
    window.addEventListener("offline", offline);
    return () => {
      window.removeEventListener("online", online);
      window.removeEventListener("offline", offline);
      current.stop();
    };
  }, [mayListen, queries]);

  const live = useMemo<Live>(
    () => ({
      state,
      epoch,
      retry: () => stream.current?.retry(),
      listen: (listener) => {
        listeners.current.add(listener);
        return () => listeners.current.delete(listener);
      },
    }),
    [state, epoch],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}

export function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === null) throw new Error("outside of LiveProvider");
  return live;
}

/** Whether what is shown is what is: when not, nothing may be shown as alive or allowed. */
export function useConfirmed(): boolean {
  return useLive().state.state === "open";
}

export function useEvents(listener: Listener): void {
  const { listen } = useLive();
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => listen((line) => latest.current(line)), [listen]);
}
