import { environment } from '#platform';
import { ControlPlaneUnavailable } from './errors.js';
import type { Logger } from './log.js';

/** When outcomes are signed: after the call has returned, before it returns, or not at all. */
export type Signing = 'background' | 'before_return' | 'off';
/** What happens when no more outcomes can be kept. */
export type SpoolFull = 'deny' | 'drop';

/** What a client is told; what is left out is read from the `SENTINEL_*` variables. */
export interface Options {
  /** Where the control plane is: `http://127.0.0.1:8000`. `SENTINEL_URL` */
  url?: string | undefined;
  /** A key with the role `agent`. `SENTINEL_API_KEY` */
  apiKey?: string | undefined;
  /** `SENTINEL_TENANT` */
  tenant?: string | undefined;
  /** The agent that calls, where a call does not name one. `SENTINEL_AGENT` */
  agent?: string | undefined;
  /** Seconds that a decision may take in total; 5 when left out. `SENTINEL_TIMEOUT` */
  timeout?: number | undefined;
  /** `background` when left out. `SENTINEL_SIGN` */
  sign?: Signing | undefined;
  /** Whether the tool's server redeems the permit (`ticket.permit`). */
  passPermit?: boolean | undefined;
  /** Whether to listen for kills; true when left out. Without it, running calls are not cancelled. */
  killStream?: boolean | undefined;
  /** Where outcomes wait that could not be signed. `SENTINEL_SPOOL_DIR` */
  spoolDir?: string | undefined;
  /** Bytes that may wait; 16 MiB when left out. `SENTINEL_SPOOL_BYTES` */
  spoolBytes?: number | undefined;
  /** `deny` denies the next call; `drop` drops the outcome, logs and counts it. `SENTINEL_ON_SPOOL_FULL` */
  onSpoolFull?: SpoolFull | undefined;
  /** For the developer: decision ids and failures, never arguments, keys or payloads. */
  logger?: Logger | undefined;
  /** In place of what the platform has: `node:http` in Node, the global `fetch` elsewhere. */
  fetch?: typeof globalThis.fetch | undefined;
}

/** Options with everything filled in. */
export interface Settings {
  readonly url: string;
  readonly apiKey: string;
  readonly tenant: string;
  readonly agent: string | undefined;
  readonly timeout: number;
  readonly sign: Signing;
  readonly passPermit: boolean;
  readonly killStream: boolean;
  readonly spoolDir: string | undefined;
  readonly spoolBytes: number;
  readonly onSpoolFull: SpoolFull;
  readonly fetch: typeof globalThis.fetch | undefined;
}

const SIGNING: readonly Signing[] = ['background', 'before_return', 'off'];
const SPOOL_FULL: readonly SpoolFull[] = ['deny', 'drop'];
const MAX_TIMEOUT = 600;

/** @throws ControlPlaneUnavailable with the code `not_configured` when something is missing, or would not work. */
export function settings(options: Options): Settings {
  return {
    url: address(text('url', options.url)),
    apiKey: text('api_key', options.apiKey),
    tenant: text('tenant', options.tenant),
    agent: options.agent || environment('SENTINEL_AGENT'),
    timeout: timeout(options.timeout ?? number('timeout') ?? 5),
    sign: choice('sign', SIGNING, options.sign) ?? 'background',
    passPermit: options.passPermit ?? false,
    killStream: options.killStream ?? true,
    spoolDir: options.spoolDir || environment('SENTINEL_SPOOL_DIR'),
    spoolBytes: bytes(options.spoolBytes ?? number('spool_bytes') ?? 16 * 1024 * 1024),
    onSpoolFull: choice('on_spool_full', SPOOL_FULL, options.onSpoolFull) ?? 'deny',
    fetch: options.fetch,
  };
}

function problem(what: string): never {
  throw new ControlPlaneUnavailable(what, 'not_configured');
}

function variable(name: string): string {
  return `SENTINEL_${name.toUpperCase()}`;
}

function text(name: string, given: string | undefined): string {
  const value = given || environment(variable(name));
  if (!value) problem(`\`${variable(name)}\` is not set`);
  if (!/^[\x21-\x7e]+$/.test(value)) {
    problem(`the setting \`${name}\` is not a text of printable ASCII without blanks`);
  }
  return value;
}

function address(url: string): string {
  if (!URL.canParse(url)) problem('the setting `url` is not a URL');
  const { protocol, username, password, search, hash } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') {
    problem('the setting `url` does not begin with `http://` or `https://`');
  }
  if (username || password || search || hash) {
    problem('the setting `url` has a user, a query or a fragment');
  }
  return url.replace(/\/+$/, '');
}

function number(name: string): number | undefined {
  const value = environment(variable(name));
  if (value === undefined) return undefined;
  if (Number.isNaN(Number(value))) problem(`\`${variable(name)}\` is not a number`);
  return Number(value);
}

function timeout(seconds: number): number {
  if (seconds > 0 && seconds <= MAX_TIMEOUT) return seconds;
  return problem(`the setting \`timeout\` is not between 0 and ${MAX_TIMEOUT} seconds`);
}

function bytes(count: number): number {
  if (Number.isInteger(count) && count >= 0) return count;
  return problem('the setting `spool_bytes` is not a number of bytes');
}

function choice<T extends string>(
  name: string,
  choices: readonly T[],
  given: T | undefined,
): T | undefined {
  const value = given ?? environment(variable(name));
  if (value === undefined) return undefined;
  const found = choices.find((each) => each === value);
  return found ?? problem(`the setting \`${name}\` is none of ${choices.join(', ')}`);
}
