import { detach, randomUUID } from '#platform';
import { openSpool } from '#spool';
import { type Call, DEFAULT_ACTION, type Outcome } from './call.js';
import { manifestId } from './decision.js';
import { ControlPlaneUnavailable, PolicyDenied, SentinelError } from './errors.js';
import type { Exchange } from './exchange.js';
import type { components } from './generated/openapi.js';
import type { Log } from './log.js';
import { payload } from './payload.js';
import type { Settings } from './settings.js';
import { Signature } from './signature.js';
import type { Sent, Spool, SpoolStats } from './spool/spool.js';

type SignRequest = components['schemas']['SignRequest'];

/** Whether the control plane knows `idempotency_key`; one that does not refuses the request. */
export const SENDS_IDEMPOTENCY_KEY: boolean = false;

/** Requests under way at the same time: signing must not slow the calls down. */
const CONCURRENT = 4;
/** Outcomes that wait in memory; those beyond go to the spool. */
const MAX_QUEUE = 1_000;
const SIGN_SECONDS = 10;
/** Between two attempts to empty the spool. */
const FLUSH_MS = 5_000;

interface Entry {
  key: string;
  body: string;
  signature: Signature;
}

/** Has outcomes signed, in the background. */
export class Signer {
  readonly #settings: Settings;
  readonly #exchange: Exchange;
  readonly #log: Log;
  readonly #spool: Spool;
  readonly #queue: Entry[] = [];
  #underWay = 0;
  #dropped = 0;
  #idle: (() => void)[] = [];
  #flushing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #mayHaveSpooled = true;

  constructor(settings: Settings, exchange: Exchange, log: Log) {
    this.#settings = settings;
    this.#exchange = exchange;
    this.#log = log;
    this.#spool = openSpool(settings.spoolDir, settings.spoolBytes, settings.url);
  }

  /** @throws PolicyDenied when the outcome of one more call could not be kept. */
  demandRoom(): void {
    const { sign, onSpoolFull } = this.#settings;
    if (sign === 'off') return;
    this.#scheduleFlush();
    if (onSpoolFull === 'drop' || this.#spool.hasRoom()) return;
    throw new PolicyDenied('the spool of outcomes that are to be signed is full', 'spool_full');
  }

  sign(
    call: Call,
    decisionId: string,
    argumentsSha256: string,
    outcome: Outcome,
    result: unknown,
  ): Signature {
    const { sign, tenant } = this.#settings;
    if (sign === 'off') return new Signature('off');
    const key = randomUUID();
    const request: SignRequest & { idempotency_key?: string } = {
      tenant_slug: tenant,
      tool_name: call.tool,
      action: call.action ?? DEFAULT_ACTION,
      purpose: call.purpose,
      decision_id: decisionId,
      payload: payload(outcome, argumentsSha256, result),
      ...(SENDS_IDEMPOTENCY_KEY ? { idempotency_key: key } : {}),
    };
    const signature = new Signature('pending', sign === 'before_return');
    const entry = { key, body: JSON.stringify(request), signature };
    if (this.#queue.length < MAX_QUEUE) {
      this.#queue.push(entry);
      this.#next();
    } else {
      this.#underWay += 1;
      void this.#keep(entry).finally(() => this.#ended());
    }
    return signature;
  }

  /** Resolves when nothing waits in memory any more. */
  async settled(): Promise<void> {
    while (this.#underWay > 0 || this.#queue.length > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Sends what waits on disk. */
  async flush(): Promise<void> {
    this.#flushing ??= this.#spool
      .flush((body) => this.#resend(body))
      .catch((error: unknown) =>
        this.#log.write('warn', 'the spool cannot be read', { error: String(error) }),
      )
      .finally(() => {
        this.#flushing = undefined;
      });
    await this.#flushing;
  }

  async stats(): Promise<SpoolStats> {
    return { ...(await this.#spool.stats()), dropped: this.#dropped };
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.settled();
    await this.#flushing;
  }

  #next(): void {
    while (this.#underWay < CONCURRENT) {
      const entry = this.#queue.shift();
      if (!entry) return;
      this.#underWay += 1;
      void this.#send(entry).finally(() => this.#ended());
    }
  }

  #ended(): void {
    this.#underWay -= 1;
    this.#next();
    if (this.#underWay > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #send(entry: Entry): Promise<void> {
    try {
      const answer = await this.#exchange.post('/provenance/sign', entry.body, SIGN_SECONDS);
      entry.signature.resolve('signed', manifestId(answer));
    } catch (error) {
      if (error instanceof ControlPlaneUnavailable) await this.#keep(entry);
      else this.#drop(entry, error);
    }
  }

  async #keep(entry: Entry): Promise<void> {
    this.#mayHaveSpooled = true;
    if (await this.#spool.add(entry.key, entry.body).catch(() => false)) {
      entry.signature.resolve('spooled');
      this.#scheduleFlush();
    } else {
      this.#drop(entry, new Error('the spool is full or cannot be written'));
    }
  }

  #drop(entry: Entry | undefined, error: unknown): void {
    this.#dropped += 1;
    const { code, decisionId } =
      error instanceof SentinelError ? error : { code: undefined, decisionId: undefined };
    this.#log.write('error', 'an outcome is not signed', {
      error: String(error),
      code,
      decisionId,
    });
    entry?.signature.resolve('dropped');
  }

  async #resend(body: string): Promise<Sent> {
    try {
      manifestId(await this.#exchange.post('/provenance/sign', body, SIGN_SECONDS));
    } catch (error) {
      if (error instanceof ControlPlaneUnavailable) return 'stay';
      this.#drop(undefined, error);
    }
    return 'remove';
  }

  #scheduleFlush(): void {
    if (this.#timer || !this.#mayHaveSpooled) return;
    this.#timer = setTimeout(() => void this.#flushDue(), FLUSH_MS);
    detach(this.#timer);
  }

  async #flushDue(): Promise<void> {
    await this.flush();
    this.#timer = undefined;
    this.#mayHaveSpooled = (await this.#spool.stats()).entries > 0;
    if (this.#mayHaveSpooled) this.#scheduleFlush();
  }
}
