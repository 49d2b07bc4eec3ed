import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Problem } from "@/api/problem";
import { EventStream, type StreamState } from "./stream";
import type { Handlers, Transport } from "./transport";

interface Attempt {
  over: string;
  query: URLSearchParams;
  handlers: Handlers;
  closed: boolean;
}

let attempts: Attempt[] = [];
let states: StreamState[] = [];
let syncs: boolean[] = [];

function fake(over: string): Transport {
  return (query, handlers) => {
    const attempt = { over, query, handlers, closed: false };
    attempts.push(attempt);
    return () => {
      attempt.closed = true;
    };
  };
}

function stream(): EventStream {
  return new EventStream(
    "kill_switch.*",
    {
      sync: (_, resumed) => syncs.push(resumed),
      event: () => {},
      state: (state) => states.push(state),
    },
    { transports: { websocket: fake("websocket"), events: fake("events") } },
  );
}

const SYNC = { id: null, event: "sync", data: { event: "sync", epoch: 1, gap: false, kills: [] } };
const last = () => attempts.at(-1) as Attempt;
const state = () => states.at(-1)?.state;

beforeEach(() => {
  vi.useFakeTimers();
  attempts = [];
  states = [];
  syncs = [];
});
afterEach(() => vi.useRealTimers());

it("is open only once the server has said what is stopped", () => {
  stream().start();
  expect(state()).toBe("connecting");
  last().handlers.message(SYNC);
  expect(states.at(-1)).toEqual({ state: "open", over: "websocket" });
  expect(syncs).toEqual([false]);
});

it("resumes behind the last event after a loss", () => {
  stream().start();
  last().handlers.message(SYNC);
  last().handlers.message({ id: "run-7", event: "kill_switch.disabled", data: {} });
  last().handlers.ended({ refused: null });
  expect(state()).toBe("lost");
  vi.advanceTimersByTime(250);
  expect(last().over).toBe("websocket");
  expect(last().query.get("last_event_id")).toBe("run-7");
  last().handlers.message(SYNC);
  expect(syncs).toEqual([false, true]);
});

it("falls back to server-sent events when no WebSocket opens, and stays lost until one does", () => {
  stream().start();
  last().handlers.ended({ refused: null });
  vi.advanceTimersByTime(250);
  expect(last().over).toBe("events");
  expect(state()).toBe("lost");
  last().handlers.message(SYNC);
  expect(states.at(-1)).toEqual({ state: "open", over: "events" });
});

it("waits longer each time, and keeps the time of the loss", () => {
  stream().start();
  last().handlers.message(SYNC);
  last().handlers.ended({ refused: null });
  const lost = states.at(-1);
  for (let failure = 0; failure < 8; failure += 1) {
    vi.advanceTimersByTime(8_000);
    last().handlers.ended({ refused: null });
  }
  const now = states.at(-1);
  expect(lost?.state === "lost" && now?.state === "lost" && now.since === lost.since).toBe(true);
  const before = attempts.length;
  vi.advanceTimersByTime(7_000);
  expect(attempts.length).toBe(before);
  vi.advanceTimersByTime(1_000);
  expect(attempts.length).toBe(before + 1);
});

it("does not try again when the server refuses", () => {
  stream().start();
  last().handlers.ended({ refused: new Problem(403, "role_forbidden", "t", "d") });
  expect(state()).toBe("refused");
  vi.advanceTimersByTime(60_000);
  expect(attempts).toHaveLength(1);
});

it("says that a revoked key is refused", () => {
  stream().start();
  last().handlers.message(SYNC);
  last().handlers.message({ id: null, event: "closed", data: { code: "key_revoked" } });
  expect(state()).toBe("refused");
  expect(last().closed).toBe(true);
});

it("gives up a connection that says nothing", () => {
  stream().start();
  vi.advanceTimersByTime(10_000);
  expect(state()).toBe("lost");
  expect(attempts[0]?.closed).toBe(true);
});
