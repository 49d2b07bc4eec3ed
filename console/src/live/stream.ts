import { Problem } from "@/api/problem";
import type { Message, SyncEvent } from "./event";
import { overEvents, overWebSocket, type Transport } from "./transport";

export type StreamState =
  | { state: "connecting" }
  | { state: "open"; over: "websocket" | "events" }
  | { state: "lost"; since: number; retryAt: number }
  | { state: "refused"; problem: Problem }
  | { state: "closed" };

export interface StreamHandlers {
  /** The kills in force; again after every interruption. `gap`: events were missed for good. */
  sync(sync: SyncEvent, resumed: boolean): void;
  event(message: Message): void;
  state(state: StreamState): void;
}

interface Options {
  transports?: { websocket: Transport; events: Transport };
  now?: () => number;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8_000;
/** A connection that says nothing for so long was never one: `sync` comes at once. */
const OPEN_WITHIN_MS = 10_000;

/**
 * One subscription to events that outlives its connections: WebSocket first, server-sent events
 * when no WebSocket opens, and after a loss it resumes behind the last event.
 */
export class EventStream {
  #state: StreamState = { state: "closed" };
  #lastId: string | null = null;
  #failures = 0;
  #close: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: "websocket" | "events" = "websocket";
  #everOpen = false;
  readonly #transports: { websocket: Transport; events: Transport };
  readonly #now: () => number;

  constructor(
    readonly types: string,
    readonly handlers: StreamHandlers,
    options: Options = {},
  ) {
    this.#transports = options.transports ?? { websocket: overWebSocket, events: overEvents };
    this.#now = options.now ?? Date.now;
  }

  start(): void {
    if (this.#state.state !== "closed") return;
    this.#become({ state: "connecting" });
    this.#connect();
  }

  stop(): void {
    this.#drop();
    this.#become({ state: "closed" });
  }

  /** Tries at once: the network is back, or the user asks. */
  retry(): void {
    if (this.#state.state === "lost") this.#connect();
  }

  /** The network is gone, as the browser says before any timeout does. */
  offline(): void {
    if (this.#state.state === "open" || this.#state.state === "connecting") this.#lose();
  }

  #become(state: StreamState): void {
    this.#state = state;
    this.handlers.state(state);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#close?.();
    this.#close = null;
  }

  #connect(): void {
    this.#drop();
    const query = new URLSearchParams({ types: this.types });
    if (this.#lastId !== null) query.set("last_event_id", this.#lastId);
    this.#timer = setTimeout(() => this.#lose(), OPEN_WITHIN_MS);
    this.#close = this.#transports[this.#over](query, {
      message: (message) => this.#take(message),
      ended: ({ refused }) => (refused === null ? this.#lose() : this.#refuse(refused)),
    });
  }

  #take(message: Message): void {
    if (message.event === "sync") {
      this.#opened(message.data as SyncEvent);
    } else if (message.event === "closed") {
      this.#closed(message.data);
    } else {
      if (message.id !== null) this.#lastId = message.id;
      this.handlers.event(message);
    }
  }

  #opened(sync: SyncEvent): void {
    clearTimeout(this.#timer);
    const resumed = this.#everOpen;
    this.#failures = 0;
    this.#everOpen = true;
    if (this.#state.state !== "open") this.#become({ state: "open", over: this.#over });
    this.handlers.sync(sync, resumed);
  }

  #closed(data: unknown): void {
    const code = (data as { code?: string } | null)?.code;
    if (code !== "key_revoked") return;
    this.#refuse(new Problem(401, code, "The key was revoked", "The server closed the stream."));
  }

  #refuse(problem: Problem): void {
    this.#drop();
    this.#become({ state: "refused", problem });
  }

  #lose(): void {
    this.#drop();
    const wasOpen = this.#state.state === "open";
    const since = this.#state.state === "lost" ? this.#state.since : this.#now();
    // A WebSocket that never opens says nothing about the reason; the next attempt over HTTP does.
    if (!wasOpen) this.#over = this.#over === "websocket" ? "events" : "websocket";
    const wait = wasOpen
      ? FIRST_RETRY_MS
      : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#become({ state: "lost", since, retryAt: this.#now() + wait });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }
}
