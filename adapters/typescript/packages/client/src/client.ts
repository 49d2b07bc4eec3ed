import { sha256 } from '#platform';
import { type Call, DEFAULT_ACTION, type Outcome } from './call.js';
import { canonical, NotJson } from './canonical.js';
import { allowed, checkRequest, confirmed, type Decision, toolPage } from './decision.js';
import { PolicyDenied, SentinelError } from './errors.js';
import { Exchange } from './exchange.js';
import { type Flight, Flights, type KillCheck } from './flights.js';
import type { components } from './generated/openapi.js';
import { type Governed, type GovernedOptions, governedBy } from './governed.js';
import { Listener } from './listener.js';
import { Log } from './log.js';
import { type Options, type Settings, settings } from './settings.js';
import type { Signature } from './signature.js';
import { Signer } from './signer.js';
import type { SpoolStats } from './spool/spool.js';
import { type Arguments, type Issuer, killed, Ticket } from './ticket.js';

/** How long the control plane has to say whether a call that a kill may cover goes on. Seconds. */
const DOUBT_SECONDS = 0.5;

/** A permit, and the call that it is to be used for. */
export interface Redemption {
  permit: string;
  toolId: string;
  arguments?: Arguments | undefined;
}

/** Why the server of a tool refused a call. */
export type UncoveredReason = components['schemas']['Uncovered'];

/** A call that reached a tool without Sentinel, and that the tool's server refused. */
export interface Uncovered {
  tool: string;
  action?: string | undefined;
  reason: UncoveredReason;
}

/** A client of one control plane. Make one for a process, and close it at the end. */
export class Sentinel implements Issuer {
  readonly settings: Settings;
  readonly log: Log;
  readonly #exchange: Exchange;
  readonly #flights = new Flights();
  readonly #listener: Listener;
  readonly #signer: Signer;

  /** @throws ControlPlaneUnavailable with the code `not_configured` when neither options nor environment say enough. */
  constructor(options: Options = {}) {
    this.settings = settings(options);
    this.log = new Log(options.logger);
    this.#exchange = new Exchange(this.settings);
    this.#listener = new Listener(this.#exchange, this.#flights, this.log);
    this.#signer = new Signer(this.settings, this.#exchange, this.log);
  }

  get passPermit(): boolean {
    return this.settings.passPermit;
  }

  /** Whether kills are heard of as they happen, so that they stop the next call without a request. */
  get listening(): boolean {
    return this.#listener.connected;
  }

  /** How many kills and restores were heard of since the client was made. */
  get heard(): number {
    return this.#listener.heard;
  }

  /** Resolves when kills are heard of; calls need not wait for it. */
  async ready(): Promise<void> {
    if (this.settings.killStream) await this.#listener.ready();
  }

  /** A function that has each of its calls decided and signed. */
  governed<A extends Arguments, R>(
    tool: string,
    call: (args: A, run: { signal: AbortSignal; ticket: Ticket }) => R | PromiseLike<R>,
    options: GovernedOptions<A> = {},
  ): Governed<A, R> {
    return governedBy(() => this, tool, call, options);
  }

  /**
   * Has a call decided. Only an allow returns.
   *
   * @throws PolicyDenied when the call is denied; ControlPlaneUnavailable when there is no decision.
   */
  async decide(call: Call): Promise<Ticket> {
    if (this.settings.killStream) this.#listener.start();
    const { tenant } = this.settings;
    const agent = call.agent ?? this.settings.agent;
    // Before the check is sent: a kill that comes while it is under way must not be missed.
    const flight = this.#flights.begin({ tenant, tool: call.tool, agent });
    try {
      const text = written(call.arguments ?? {});
      this.recheck(flight);
      this.#signer.demandRoom();
      const decision = await this.#check(checkRequest(call, tenant, agent, text));
      flight.allowed(() => this.#mayGoOn(call, decision.decisionId, text));
      const ticket = new Ticket(this, flight, call, decision, sha256(text));
      if (ticket.stopped) throw ticket.stopped;
      this.log.write('debug', 'allowed', { tool: call.tool, decisionId: decision.decisionId });
      return ticket;
    } catch (error) {
      this.#flights.end(flight);
      this.#logRefusal(call, error);
      throw error;
    }
  }

  /** As `decide`, for who only wants the answer: nothing is signed, and no kill is watched for. */
  async check(call: Call): Promise<Decision> {
    const agent = call.agent ?? this.settings.agent;
    return this.#check(
      checkRequest(call, this.settings.tenant, agent, written(call.arguments ?? {})),
    );
  }

  /** Uses up a permit, for a tool server: the call may be made, now and once. Returns the decision. */
  async redeem({ permit, toolId, arguments: args }: Redemption): Promise<string> {
    const body = `{"permit":${JSON.stringify(permit)},"tool_id":${JSON.stringify(toolId)},"arguments":${written(args ?? {})}}`;
    return confirmed(
      await this.#exchange.post('/v1/permits/redeem', body, this.settings.timeout),
      'redeemed',
    );
  }

  /** The identifiers of the tenant's tools, by name. */
  async toolIds(): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    const tenant = encodeURIComponent(this.settings.tenant);
    let cursor: string | undefined;
    do {
      const after = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const path = `/v1/tools?tenant=${tenant}&limit=100${after}`;
      const page = toolPage(await this.#exchange.get(path, this.settings.timeout));
      for (const { name, id } of page.tools) ids.set(name, id);
      cursor = page.next;
    } while (cursor !== undefined);
    return ids;
  }

  /** Reports a call that reached a tool without Sentinel. Never rejects. */
  async reportUncovered({ tool, action = DEFAULT_ACTION, reason }: Uncovered): Promise<void> {
    const body = JSON.stringify({
      tenant_slug: this.settings.tenant,
      tool_name: tool,
      action,
      reason,
    });
    try {
      // A control plane of an earlier version does not know the report.
      await this.#exchange.post('/v1/tools/uncovered', body, this.settings.timeout);
    } catch (error) {
      this.log.write('debug', 'a call without Sentinel could not be reported', {
        tool,
        error: String(error),
      });
    }
  }

  /** Outcomes that wait on disk to be signed, and those that were dropped. */
  spoolStats(): SpoolStats {
    return this.#signer.stats();
  }

  /** Resolves when the outcomes of calls that have ended are signed or spooled, and the spool was tried. */
  async flush(): Promise<void> {
    await this.#signer.flush();
  }

  /** Stops listening, and signs what waits; what cannot be signed within two seconds is spooled. */
  async close(): Promise<void> {
    await Promise.all([this.#listener.stop(), this.#signer.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For tickets. @throws PolicyDenied when a kill that is known here covers the call. */
  recheck(flight: Flight): void {
    const kill = flight.killed ?? this.#listener.covering(flight.covered);
    if (kill) throw killed(kill);
  }

  /** For tickets. */
  sign(ticket: Ticket, outcome: Outcome, result: unknown, ran?: Arguments): Signature {
    const { call, decisionId, argumentsSha256 } = ticket;
    const decided = { call, decisionId, argumentsSha256: ran ? digest(ran) : argumentsSha256 };
    return this.#signer.sign(decided, outcome, result, ran !== undefined);
  }

  /** For tickets. */
  end(flight: Flight): void {
    this.#flights.end(flight);
  }

  async #check(body: string): Promise<Decision> {
    const { timeout } = this.settings;
    return allowed(await this.#exchange.post('/policy/check', body, timeout));
  }

  async #mayGoOn(call: Call, decisionId: string, canonicalArguments: string): Promise<KillCheck> {
    const known = {
      decision_id: decisionId,
      tool_name: call.tool,
      action: call.action ?? DEFAULT_ACTION,
    };
    const body = `${JSON.stringify(known).slice(0, -1)},"arguments":${canonicalArguments}}`;
    const answer = await this.#exchange.post('/v1/permits/resume', body, DOUBT_SECONDS);
    return confirmed(answer, 'resumed') ? 'goes_on' : 'ended';
  }

  #logRefusal(call: Call, error: unknown): void {
    const { code, decisionId, reason } =
      error instanceof SentinelError
        ? error
        : { code: 'error', decisionId: undefined, reason: String(error) };
    const level = error instanceof PolicyDenied ? 'info' : 'warn';
    this.log.write(level, 'the call is not made', { tool: call.tool, code, decisionId, reason });
  }
}

/** Of arguments that were not decided: they may be anything. */
function digest(args: Arguments): string {
  try {
    return sha256(canonical(args));
  } catch {
    return sha256('');
  }
}

function written(args: Arguments): string {
  try {
    if (typeof args === 'object' && args !== null && !Array.isArray(args)) return canonical(args);
  } catch (error) {
    if (error instanceof NotJson) throw new PolicyDenied(error.message, 'invalid_arguments');
    throw error;
  }
  throw new PolicyDenied('the arguments are not an object', 'invalid_arguments');
}
