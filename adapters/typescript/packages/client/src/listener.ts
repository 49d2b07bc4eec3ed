import { detach, detachEventStreams } from '#platform';
import type { Exchange } from './exchange.js';
import type { Flights } from './flights.js';
import type { components } from './generated/openapi.js';
import { type Covered, Kills, type KnownKill } from './kills.js';
import type { Log } from './log.js';
import { type Block, Parser } from './sse.js';

type SyncEvent = components['schemas']['SyncEvent'];

const PATH = `/v1/events?types=${encodeURIComponent('kill_switch.*')}`;
/** The control plane sends something every 15 seconds: a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;
/** Before the stream is opened again; doubles with each failure in a row. */
const PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

/** Listens for kills, for as long as it takes, and ends the calls that they cover. */
export class Listener {
  readonly #exchange: Exchange;
  readonly #flights: Flights;
  readonly #log: Log;
  readonly #kills = new Kills();
  readonly #stopped = new AbortController();
  #connected = false;
  #heard = 0;
  #lastEventId: string | undefined;
  #running: Promise<void> | undefined;
  #waiting: (() => void)[] = [];

  constructor(exchange: Exchange, flights: Flights, log: Log) {
    this.#exchange = exchange;
    this.#flights = flights;
    this.#log = log;
  }

  /** Whether the local state is that of the control plane. */
  get connected(): boolean {
    return this.#connected;
  }

  /** How many kills and restores were heard of. */
  get heard(): number {
    return this.#heard;
  }

  /** The kill that covers a call. While not connected it may have been restored, so there is none. */
  covering(call: Covered): KnownKill | undefined {
    return this.#connected ? this.#kills.covering(call) : undefined;
  }

  start(): void {
    if (this.#running || this.#stopped.signal.aborted) return;
    detachEventStreams();
    this.#running = this.#listen();
  }

  /** Resolves when kills are heard of. */
  ready(): Promise<void> {
    this.start();
    if (this.#connected || this.#stopped.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #listen(): Promise<void> {
    let pause = PAUSE_MS;
    while (!this.#stopped.signal.aborted) {
      try {
        await this.#stream();
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        this.#log.write('debug', 'the stream of kills broke off', { error: String(error) });
      }
      pause = this.#connected ? PAUSE_MS : Math.min(pause * 2, MAX_PAUSE_MS);
      this.#connected = false;
      await this.#pause(pause);
    }
  }

  async #stream(): Promise<void> {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stopped.signal, silence.signal]);
    const watch = setTimeout(() => silence.abort(), SILENCE_MS);
    detach(watch);
    try {
      const response = await this.#exchange.stream(PATH, this.#lastEventId, signal);
      if (response.status !== 200 || !response.body) {
        await response.body?.cancel().catch(() => undefined);
        throw new Error(`status ${response.status}`);
      }
      await this.#read(response.body, () => watch.refresh?.());
    } finally {
      clearTimeout(watch);
    }
  }

  async #read(body: ReadableStream<Uint8Array>, alive: () => void): Promise<void> {
    const [parser, decoder] = [new Parser(), new TextDecoder()];
    for await (const piece of body) {
      alive();
      for (const block of parser.take(decoder.decode(piece, { stream: true }))) {
        if (block.event === 'closed') return;
        this.#hear(block);
      }
    }
  }

  #hear({ id, event, data }: Block): void {
    const body = JSON.parse(data) as Record<string, unknown>;
    if (event === 'sync') this.#synchronise(body as unknown as SyncEvent);
    else if (event.startsWith('kill_switch.')) this.#change(event, body);
    if (id !== undefined) this.#lastEventId = id;
  }

  #synchronise({ epoch, kills }: SyncEvent): void {
    const added = this.#kills.reset(epoch, kills);
    this.#connected = true;
    for (const kill of added) this.#flights.hear(kill);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #change(event: string, body: Record<string, unknown>): void {
    const metadata = (body['metadata'] ?? {}) as Record<string, unknown>;
    const killId = String(metadata['kill_id']);
    // One whose epoch is not known is taken for new.
    const epoch =
      typeof metadata['epoch'] === 'number' ? metadata['epoch'] : Number.POSITIVE_INFINITY;
    if (event === 'kill_switch.restored') {
      this.#kills.restored(epoch, killId);
    } else if (event === 'kill_switch.disabled') {
      const kill = this.#kills.disabled(epoch, {
        killId,
        scope: text(metadata['scope']) ?? '',
        tenant: text(body['tenant']),
        tool: text(body['tool']),
        agent: text(metadata['agent']),
        reason: text(body['reason']) ?? '',
      });
      if (kill) this.#flights.hear(kill);
    }
    this.#heard += 1;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#stopped.signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      detach(timer);
      this.#stopped.signal.addEventListener('abort', end);
    });
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
