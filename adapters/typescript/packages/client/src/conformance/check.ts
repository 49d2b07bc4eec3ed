/** Plays one case against an adapter, and says what is wrong. */
import { createHash, randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { canonical } from '../canonical.js';
import { Sentinel } from '../client.js';
import {
  agent,
  type Capability,
  type Case,
  type Happening,
  neverRead,
  type PlannedCall,
} from './cases.js';
import { FakePlane } from './fake.js';
import type { ConformancePlane } from './plane.js';
import { Toolbox } from './toolbox.js';

/** A framework with an adapter, and a scripted model. */
export interface Harness {
  readonly name: string;
  /** What the framework cannot do; say why beside it. */
  readonly lacks?: readonly Capability[];
  /** An agent with the tools of `toolbox`, governed by `client`, without a purpose and with the action `call`. */
  open(toolbox: Toolbox, client: Sentinel): Session | Promise<Session>;
}

export interface Session {
  /**
   * Lets the scripted model make the calls, all in one answer, and end after that. Returns what the model read of each
   * call by its `id`. Where a call has `changed_to`, something that the framework runs after the adapter changes the
   * arguments to that.
   */
  turn(calls: readonly PlannedCall[]): Promise<Record<string, string>>;
}

/** Faults that only the deadline ends. In the others a busy machine must not be taken for one. */
const ENDLESS: readonly string[] = ['hang', 'drip'];
/** Seconds that a decision may take in these. */
const DEADLINE = 1;
const PATIENCE_MS = 10_000;

/**
 * Plays a case; without a `plane` the kit plays the control plane itself. With `fetch` the client uses that.
 *
 * @throws Error with everything that is wrong.
 */
export async function check(
  one: Case,
  harness: Harness,
  plane?: ConformancePlane,
  fetch?: typeof globalThis.fetch,
): Promise<void> {
  // Which calls a real one decided is only seen on the way to it.
  if (plane) return play(one, harness, plane, fetch ?? globalThis.fetch);
  const fake = await new FakePlane(one).start();
  try {
    await play(one, harness, fake, fetch);
    if (fake.followed > 0) throw new Error(`${harness.name}, ${one.id}: a redirect was followed`);
  } finally {
    await fake.stop();
  }
}

async function play(
  one: Case,
  harness: Harness,
  plane: ConformancePlane,
  fetch: typeof globalThis.fetch | undefined,
): Promise<void> {
  const checked: Checked[] = plane instanceof FakePlane ? plane.checked : [];
  const client = new Sentinel({
    fetch: fetch && recording(plane instanceof FakePlane ? [] : checked, fetch),
    url: plane.url,
    apiKey: plane.apiKey,
    tenant: plane.tenant,
    agent,
    timeout: one.check?.fault && ENDLESS.includes(one.check.fault) ? DEADLINE : 5,
    spoolDir: join(tmpdir(), `sentinel-conformance-${randomUUID()}`),
  });
  const game = new Game(one, plane, client, checked);
  try {
    await game.act(await harness.open(game.toolbox, client));
    const wrong = await game.wrong();
    if (wrong.length > 0)
      throw new Error(`${harness.name}, ${one.id}: ${one.says}\n${wrong.join('\n')}`);
  } finally {
    await client.close();
  }
}

/** A check as it was sent. */
type Checked = Record<string, unknown>;

function recording(checked: Checked[], fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return (input, init) => {
    if (String(input).endsWith('/policy/check')) checked.push(JSON.parse(String(init?.body)));
    return fetch(input, init);
  };
}

class Game {
  readonly toolbox = new Toolbox();
  readonly #case: Case;
  readonly #plane: ConformancePlane;
  readonly #client: Sentinel;
  readonly #checked: Checked[];
  readonly #read: Record<string, string> = {};
  #milliseconds = 0;

  constructor(one: Case, plane: ConformancePlane, client: Sentinel, checked: Checked[]) {
    this.#case = one;
    this.#plane = plane;
    this.#client = client;
    this.#checked = checked;
  }

  async act(session: Session): Promise<void> {
    for (const turn of this.#case.turns) {
      for (const { before } of turn) if (before) await this.#happen(before);
      const meanwhile = this.#meanwhile(turn);
      const began = performance.now();
      Object.assign(this.#read, await session.turn(turn));
      this.#milliseconds += performance.now() - began;
      await meanwhile;
    }
  }

  async #meanwhile(turn: PlannedCall[]): Promise<void> {
    for (const { during } of turn) {
      if (!during) continue;
      await this.toolbox.waiting();
      await this.#happen(during);
    }
  }

  /** Returns when the client has heard of it. */
  async #happen({ kill, restore }: Happening): Promise<void> {
    if (kill) await this.#heard(() => this.#plane.kill(this.#named(kill)));
    if (restore) await this.#heard(() => this.#plane.restore(this.#named(restore)));
  }

  async #heard(happens: () => Promise<void>): Promise<void> {
    await this.#client.ready();
    const before = this.#client.heard;
    await happens();
    if (!(await until(() => this.#client.heard > before)))
      throw new Error('the client does not hear of it');
  }

  #named(target: Record<string, string>): Record<string, string> {
    const { principal } = this.#plane;
    const named = Object.entries(target).map(([field, value]) => [
      field,
      value.replace('{principal}', principal),
    ]);
    return Object.fromEntries(named);
  }

  /** What is not as the case expects it. */
  async wrong(): Promise<string[]> {
    const { expect } = this.#case;
    const decisions = await this.#plane.decisions();
    const wrong = [...this.#wrongRuns(), ...this.#wrongTexts(decisions)];
    if (expect.checks !== undefined && decisions.length !== expect.checks) {
      wrong.push(`${decisions.length} checks were made, and not ${expect.checks}`);
    }
    if (new Set(decisions).size < (expect.distinct_decisions ?? 0))
      wrong.push('the calls share decisions');
    if (expect.signed !== 'any') wrong.push(...(await this.#wrongSignatures(expect.signed)));
    const { spooled } = expect;
    if (
      spooled !== undefined &&
      !(await until(() => this.#client.spoolStats().entries === spooled))
    ) {
      wrong.push(`${this.#client.spoolStats().entries} outcomes are in the spool`);
    }
    const { within_seconds: within = Number.POSITIVE_INFINITY } = expect;
    if (this.#milliseconds > within * 1000) wrong.push(`the calls took ${this.#milliseconds} ms`);
    return wrong;
  }

  #wrongRuns(): string[] {
    const wrong: string[] = [];
    for (const name of ['started', 'cancelled'] as const) {
      const expected = this.#case.expect[name]?.toSorted();
      const seen = this.toolbox[name].map(({ tool }) => tool).sort();
      if (expected && !isDeepStrictEqual(seen, expected))
        wrong.push(`${name}: ${seen}, and not ${expected}`);
    }
    for (const never of this.#case.expect.never_ran_with ?? []) {
      const ran = this.toolbox.started.some((run) => isDeepStrictEqual(run, never));
      const decided = this.#checked.some(
        (asked) =>
          asked['tool_name'] === never.tool &&
          isDeepStrictEqual(asked['arguments'], never.arguments),
      );
      if (ran && !decided) wrong.push(`${never.tool} ran with arguments that nobody decided`);
    }
    return wrong;
  }

  #wrongTexts(decisions: string[]): string[] {
    const wrong: string[] = [];
    for (const [id, { includes = [], excludes = [] }] of Object.entries(
      this.#case.expect.read ?? {},
    )) {
      const text = this.#read[id];
      if (text === undefined) {
        wrong.push(`the model read nothing of call ${id}`);
        continue;
      }
      const has = (part: string) =>
        part === '{decision}' ? decisions.some((made) => text.includes(made)) : text.includes(part);
      wrong.push(
        ...includes.filter((part) => !has(part)).map((part) => `not read: ${part}: ${text}`),
      );
      wrong.push(...excludes.filter(has).map((part) => `read: ${part}: ${text}`));
    }
    for (const [id, text] of Object.entries(this.#read)) {
      const words = neverRead.filter((word) => text.toLowerCase().includes(word));
      wrong.push(...words.map((word) => `of call ${id} the model read ${word}: ${text}`));
    }
    return wrong;
  }

  async #wrongSignatures(expected: [string, string][]): Promise<string[]> {
    await this.#client.flush();
    const signed = await this.#plane.signed();
    const kept = signed.every(({ payload }) => payload !== undefined);
    const text = (tool: string, outcome: unknown) => (kept ? `${tool} ${outcome}` : tool);
    const seen = signed.map(({ tool, payload }) => text(tool, payload?.['outcome'])).sort();
    const wanted = expected.map(([tool, outcome]) => text(tool, outcome)).sort();
    const wrong = isDeepStrictEqual(seen, wanted) ? [] : [`signed: ${seen}, and not ${wanted}`];
    const ran = new Set(this.toolbox.started.map((run) => sha256(canonical(run.arguments))));
    for (const { tool, payload } of signed) {
      if (payload && !ran.has(String(payload['arguments_sha256']))) {
        wrong.push(`the outcome of ${tool} is of other arguments`);
      }
    }
    return wrong;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

async function until(holds: () => boolean): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}
