import { defaultTransport } from '#platform';
import { ControlPlaneUnavailable } from './errors.js';
import type { Settings } from './settings.js';
import { byFetch } from './transport/fetch.js';
import {
  type Deadline,
  failureOf,
  type Outgoing,
  type Received,
  type Transport,
  TransportFailure,
} from './transport/transport.js';

/** An answer that was received completely, whatever its status. */
export interface Answer {
  status: number;
  body: string;
  isJson: boolean;
}

/** Before a connection is tried once more. */
const PAUSE_MS = 50;
const UTF_8 = new TextDecoder('utf-8', { fatal: true });
const JSON_TYPE = /^application\/(problem\+)?json\s*(;|$)/i;

/** Sends requests to one control plane, each within a deadline. */
export class Exchange {
  readonly #settings: Settings;
  readonly #transport: Transport;
  readonly #headers: Record<string, string>;

  constructor(settings: Settings) {
    const { url, apiKey, fetch } = settings;
    this.#settings = settings;
    this.#transport = fetch ? byFetch(url, fetch) : defaultTransport(url);
    this.#headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      accept: 'application/json',
      // What is not compressed cannot expand beyond its bound.
      'accept-encoding': 'identity',
    };
  }

  /**
   * Sends a request and receives the answer, within `seconds` in total. A connection that cannot be made is tried
   * once more.
   *
   * @throws ControlPlaneUnavailable when no complete answer came.
   */
  async post(path: string, body: string, seconds: number): Promise<Answer> {
    return this.#exchange({ method: 'POST', path, headers: this.#headers, body }, seconds);
  }

  /** As `post`, without a body. */
  async get(path: string, seconds: number): Promise<Answer> {
    return this.#exchange(
      { method: 'GET', path, headers: this.#headers, body: undefined },
      seconds,
    );
  }

  async #exchange(request: Outgoing, seconds: number): Promise<Answer> {
    const clock = new Clock(seconds);
    try {
      return read(await this.#send(request, clock));
    } catch (error) {
      if (clock.isOver) throw failed('timeout', `it did not answer within ${seconds} s`);
      const { kind, message } = failureOf(error);
      throw failed(kind, message);
    } finally {
      clock.stop();
    }
  }

  async #send(request: Outgoing, clock: Clock): Promise<Received> {
    try {
      return await this.#transport(request, clock);
    } catch (error) {
      const { kind } = failureOf(error);
      if (clock.isOver || kind !== 'unreachable') throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return this.#transport(request, clock);
    }
  }

  /** Opens a stream of events. */
  async stream(
    path: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    const { authorization } = this.#headers as { authorization: string };
    const headers: Record<string, string> = { authorization, accept: 'text/event-stream' };
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    const fetch = this.#settings.fetch ?? globalThis.fetch;
    return fetch(this.#settings.url + path, { headers, redirect: 'manual', signal });
  }
}

/** The time of one exchange, all attempts included. Timers run by the monotonic clock. */
class Clock implements Deadline {
  isOver = false;
  #stop: (() => void) | undefined;
  readonly #timer: ReturnType<typeof setTimeout>;

  constructor(seconds: number) {
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#stop?.();
    }, seconds * 1000);
  }

  onEnd(stop: () => void): () => void {
    this.#stop = stop;
    if (this.isOver) stop();
    return () => {
      this.#stop = undefined;
    };
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function read({ status, type, body }: Received): Answer {
  try {
    return { status, body: UTF_8.decode(body), isJson: JSON_TYPE.test(type) };
  } catch {
    throw new TransportFailure('malformed_answer', 'its answer is not a text in UTF-8');
  }
}

function failed(code: string, reason: string): ControlPlaneUnavailable {
  return new ControlPlaneUnavailable(reason, code);
}
