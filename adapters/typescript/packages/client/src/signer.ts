import { detach, randomUUID } from '#platform';
import { atExit, openSpool } from '#spool';
import { type Call, DEFAULT_ACTION, type Outcome } from './call.js';
import { manifestId } from './decision.js';
import { ControlPlaneUnavailable, PolicyDenied, SentinelError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { components } from './generated/openapi.js';
import type { Log } from './log.js';
import { payload } from './payload.js';
import type { Settings } from './settings.js';
import { Signature } from './signature.js';
import type { Spool, SpoolStats, Waiting } from './spool/spool.js';

type SignRequest = components['schemas']['SignRequest'];

/** Outcomes gather for this long before they are sent, unless someone waits for one. */
const GATHER_MS = 100;
/** Requests of a burst that are under way at the same time. */
const AT_ONCE = 16;
const BURST = 256;
/** After a burst there is a rest of this many times as long as it took: most calls then meet no signing at all. */
const REST = 3;
const MAX_REST_MS = 1_000;
/** Outcomes that wait in memory; from half of it on there is no rest, and more go to the spool. */
const MOST = 10_000;
const SIGN_SECONDS = 10;
/** Between two attempts to empty the spool, and after a failure. */
const FLUSH_MS = 5_000;
/** How long `close` waits for outcomes to be signed; the rest is spooled. */
const CLOSE_SECONDS = 2;
/** A refusal of the key may pass: its binding, or its role, may be changed. */
const FORBIDDEN = 403;

type Fate = 'signed' | 'refused' | 'later';

interface Entry extends Waiting {
  signature?: Signature;
}

/** A call that has ended, as it is signed. */
export interface Decided {
  call: Call;
  decisionId: string;
  /** Of what ran. */
  argumentsSha256: string;
}

/** Has outcomes signed, in bursts with rests between them. What could not be sent goes to the spool. */
export class Signer {
  readonly #settings: Settings;
  readonly #exchange: Exchange;
  readonly #log: Log;
  readonly #spool: Spool;
  #queue: Entry[] = [];
  /** Those of the burst that is under way. */
  readonly #underWay = new Set<Entry>();
  #working: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushTimer: ReturnType<typeof setTimeout> | undefined;
  #hurried = false;
  #closed = false;
  /** Until then the control plane is not tried: it has just failed. */
  #later = Number.NEGATIVE_INFINITY;
  #flushAt = 0;
  #dropped = 0;

  constructor(settings: Settings, exchange: Exchange, log: Log) {
    this.#settings = settings;
    this.#exchange = exchange;
    this.#log = log;
    const { spoolDir: directory, spoolBytes: limit, url, tenant, apiKey } = settings;
    this.#spool = openSpool({ directory, limit, url, tenant, apiKey });
    if (settings.sign === 'off') return;
    track(this);
  }

  /** @throws PolicyDenied when the outcome of one more call could not be kept. */
  demandRoom(): void {
    const { sign, onSpoolFull } = this.#settings;
    if (sign === 'off') return;
    const now = performance.now();
    if (now >= this.#flushAt) this.#schedule(0);
    if (onSpoolFull === 'drop') return;
    // While signing works, what waits in memory need not fit.
    if (this.#spool.hasRoom(now < this.#later ? this.#queue.length : 0)) return;
    throw new PolicyDenied('the spool of outcomes that are to be signed is full', 'spool_full');
  }

  /** `changed`: the arguments that ran are not those that were decided. */
  sign(decided: Decided, outcome: Outcome, result: unknown, changed: boolean): Signature {
    const { sign, tenant } = this.#settings;
    if (sign === 'off') return new Signature('off');
    const { call, decisionId, argumentsSha256 } = decided;
    const request: SignRequest = {
      tenant_slug: tenant,
      tool_name: call.tool,
      action: call.action ?? DEFAULT_ACTION,
      purpose: call.purpose,
      decision_id: decisionId,
      payload: payload(outcome, argumentsSha256, result),
      ...(changed ? { metadata: { arguments_changed: true } as never } : {}),
    };
    const signature = new Signature('pending', sign === 'before_return', () => this.hurry());
    const entry = { key: randomUUID(), request, signature };
    if (this.#closed || this.#queue.length >= MOST) this.#keep(entry);
    else this.#put(entry);
    return signature;
  }

  /** Sends what waits now: someone waits for it, or the process has nothing else to do. */
  hurry(): void {
    if (this.#queue.length === 0) return;
    this.#hurried = true;
    // Not by a timer, which would not keep the process alive.
    void this.#work();
  }

  /** Resolves when nothing waits in memory any more, and the spool was tried. */
  async flush(): Promise<void> {
    this.#flushAt = 0;
    this.#later = Number.NEGATIVE_INFINITY;
    do {
      this.#hurried = true;
      await this.#work();
    } while (this.#queue.length > 0);
  }

  stats(): SpoolStats {
    return { ...this.#spool.stats(), dropped: this.#dropped };
  }

  /** Signs what waits, for a while; the rest is spooled. */
  async close(): Promise<void> {
    const deadline = performance.now() + CLOSE_SECONDS * 1000;
    while (this.#queue.length > 0 && performance.now() < deadline) {
      this.#hurried = true;
      await this.#work(CLOSE_SECONDS);
    }
    await this.#working;
    this.end();
  }

  /** Keeps what is not signed, at once. */
  end(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#flushTimer);
    tracked.delete(this);
    for (const entry of [...this.#underWay, ...this.#queue.splice(0)]) this.#keep(entry);
    this.#underWay.clear();
  }

  #put(entry: Entry): void {
    this.#queue.push(entry);
    if (!this.#timer && !this.#working) this.#schedule(GATHER_MS);
  }

  #schedule(milliseconds: number): void {
    if (this.#closed || this.#working || (this.#timer && milliseconds > 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#work(), milliseconds);
    detach(this.#timer);
  }

  #work(within = SIGN_SECONDS): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#working ??= this.#run(within);
    return this.#working;
  }

  async #run(within: number): Promise<void> {
    const began = performance.now();
    try {
      await this.#burst(within);
    } finally {
      this.#working = undefined;
      this.#rest(performance.now() - began);
    }
  }

  async #burst(within: number): Promise<void> {
    const hurried = this.#hurried;
    this.#hurried = false;
    const burst = this.#queue.splice(0, BURST);
    for (const entry of burst) this.#underWay.add(entry);
    await lanes(burst, (entry) => this.#deliver(entry, hurried, within));
    if (this.#queue.length === 0 && performance.now() >= this.#flushAt) await this.#flushSpool();
  }

  /** What happens next: at once, after a rest, or when there is something to do. */
  #rest(took: number): void {
    if (this.#queue.length === 0) return;
    const hurried = this.#hurried || this.#queue.length > MOST / 2;
    this.#schedule(hurried ? 0 : Math.max(GATHER_MS, Math.min(took * REST, MAX_REST_MS)));
  }

  async #deliver(entry: Entry, hurried: boolean, within: number): Promise<void> {
    const waits = performance.now() < this.#later && !hurried;
    const fate = waits ? 'later' : await this.#send(entry, within);
    // At the end of the process it was kept meanwhile.
    if (this.#underWay.delete(entry) && fate === 'later') this.#keep(entry);
  }

  async #send(entry: Entry, within: number): Promise<Fate> {
    const body = JSON.stringify({ ...entry.request, idempotency_key: entry.key });
    try {
      const answer = await this.#exchange.post('/provenance/sign', body, within);
      if (answer.status === FORBIDDEN) return 'later';
      entry.signature?.resolve('signed', manifestId(answer));
    } catch (error) {
      if (error instanceof ControlPlaneUnavailable) {
        this.#later = performance.now() + FLUSH_MS;
        return 'later';
      }
      this.#drop(entry, error);
      return 'refused';
    }
    this.#later = Number.NEGATIVE_INFINITY;
    return 'signed';
  }

  #keep(entry: Entry): void {
    this.#flushAt = Math.max(this.#flushAt, performance.now() + FLUSH_MS);
    if (this.#spool.add({ key: entry.key, request: entry.request })) {
      entry.signature?.resolve('spooled');
      this.#flushLater();
    } else {
      this.#drop(entry, new PolicyDenied('the spool is full, or cannot be written', 'spool_full'));
    }
  }

  #drop(entry: Entry, error: unknown): void {
    this.#dropped += 1;
    const code = error instanceof SentinelError ? error.code : String(error);
    const { decision_id: decisionId } = entry.request as SignRequest;
    this.#log.write('error', 'an outcome is not signed', { code, decisionId });
    entry.signature?.resolve('dropped');
  }

  #flushLater(): void {
    if (this.#flushTimer || this.#closed) return;
    this.#flushTimer = setTimeout(() => {
      this.#flushTimer = undefined;
      this.#schedule(0);
    }, FLUSH_MS);
    detach(this.#flushTimer);
  }

  /** Sends what is in the spool, unless another process does. */
  async #flushSpool(): Promise<void> {
    this.#flushAt = performance.now() + FLUSH_MS;
    const entries = this.#spool.entries();
    if (entries.length === 0) return;
    if (performance.now() < this.#later || !this.#spool.lock()) return this.#flushLater();
    try {
      await lanes(entries, (name) => this.#sendSpooled(name));
    } finally {
      this.#spool.unlock();
    }
    if (this.#spool.entries().length > 0) this.#flushLater();
  }

  async #sendSpooled(name: string): Promise<void> {
    if (performance.now() < this.#later || this.#closed) return;
    const entry = this.#spool.claim(name);
    if (!entry) return;
    if ((await this.#send(entry, SIGN_SECONDS)) === 'later') this.#spool.release(name);
    else this.#spool.remove(name);
  }
}

/** Takes the items one after the other, some at the same time. */
async function lanes<T>(items: T[], take: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const lane = async () => {
    for (const item of waiting) await take(item);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, lane));
}

const tracked = new Set<Signer>();
let tracking = false;

/** Has the outcomes of a signer kept at the end of the process. */
function track(signer: Signer): void {
  tracked.add(signer);
  if (tracking) return;
  tracking = true;
  const each = (what: (signer: Signer) => void) => () => {
    for (const one of [...tracked]) what(one);
  };
  atExit(
    each((one) => one.end()),
    each((one) => one.hurry()),
  );
}
