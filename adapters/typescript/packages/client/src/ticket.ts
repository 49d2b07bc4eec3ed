import { sha256 } from '#platform';
import type { Call, Outcome } from './call.js';
import { canonical } from './canonical.js';
import type { Decision } from './decision.js';
import { PolicyDenied } from './errors.js';
import type { Flight } from './flights.js';
import type { KnownKill } from './kills.js';
import { Signature } from './signature.js';

/** What a ticket needs of its client. */
export interface Issuer {
  readonly passPermit: boolean;
  /** Throws when a kill that is known here covers the call. */
  recheck(flight: Flight): void;
  sign(ticket: Ticket, outcome: Outcome, result: unknown, ran?: Arguments): Signature;
  end(flight: Flight): void;
}

export type Arguments = Readonly<Record<string, unknown>>;

/** The right to make one call: `verify` right before the tool runs, `finish` after it; `run` does both. */
export class Ticket {
  readonly call: Call;
  readonly decision: Decision;
  readonly argumentsSha256: string;
  readonly #issuer: Issuer;
  readonly #flight: Flight;
  #controller: AbortController | undefined;
  #stopped: PolicyDenied | undefined;
  #onStop: ((reason: PolicyDenied) => void) | undefined;
  #signature: Signature | undefined;
  #used = false;

  constructor(issuer: Issuer, flight: Flight, call: Call, decision: Decision, sha: string) {
    this.#issuer = issuer;
    this.#flight = flight;
    this.call = call;
    this.decision = decision;
    this.argumentsSha256 = sha;
    flight.end = (kill) => this.#stop(kill);
    if (flight.killed) this.#stop(flight.killed);
  }

  get decisionId(): string {
    return this.decision.decisionId;
  }

  /** The permit for the server of the tool (`Sentinel-Permit`); only with the setting `passPermit`. */
  get permit(): string | undefined {
    return this.#issuer.passPermit ? this.decision.permit : undefined;
  }

  /** Aborted, with the denial as its reason, when a kill covers the call. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#stopped) this.#controller.abort(this.#stopped);
    }
    return this.#controller.signal;
  }

  /** The denial, once a kill covers the call. */
  get stopped(): PolicyDenied | undefined {
    return this.#stopped;
  }

  /** Whether this is the call that was decided. Uses nothing up. */
  matches(tool: string, args: Arguments): boolean {
    if (tool !== this.call.tool) return false;
    try {
      return sha256(canonical(args)) === this.argumentsSha256;
    } catch {
      return false;
    }
  }

  /**
   * Makes sure that what runs now is what was decided, and that no kill covers it by now. Call it at the last moment,
   * with what the tool will really get. It succeeds once.
   *
   * @throws PolicyDenied
   */
  verify(tool: string, args: Arguments): void {
    if (!this.matches(tool, args)) {
      this.discard();
      const reason = 'the call is not the one that was decided';
      throw new PolicyDenied(reason, 'arguments_changed', this.decisionId);
    }
    if (this.#used) {
      throw new PolicyDenied(
        'the decision was used for a call before',
        'ticket_spent',
        this.decisionId,
      );
    }
    this.#used = true;
    try {
      this.#issuer.recheck(this.#flight);
      if (this.#stopped) throw this.#stopped;
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /**
   * Verifies the call, runs it, and has its outcome signed. When a kill covers it meanwhile, the signal is aborted and
   * this rejects at once; a result that comes later is withheld.
   */
  async run<T>(
    tool: string,
    args: Arguments,
    call: (signal: AbortSignal) => T | PromiseLike<T>,
  ): Promise<T> {
    this.verify(tool, args);
    let result: T;
    try {
      result = await this.#running(call);
    } catch (error) {
      await this.failed(error).settled();
      throw error;
    }
    const settled = this.finish('succeeded', result).settled();
    if (settled) await settled;
    return result;
  }

  #running<T>(call: (signal: AbortSignal) => T | PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#onStop = reject;
      // An accessor instead of the signal would spare making one, but tools pass it on.
      const returned = call(this.signal);
      Promise.resolve(returned).then((value) => {
        if (this.#stopped) reject(this.#stopped);
        else resolve(value);
      }, reject);
    });
  }

  /** Has the outcome of a call that threw signed. */
  failed(error: unknown): Signature {
    const { name } = (error ?? {}) as { name?: unknown };
    const cut = this.#stopped !== undefined || name === 'AbortError';
    const kind = error instanceof Error ? error.constructor.name : typeof error;
    return this.finish(cut ? 'cancelled' : 'failed', { error: kind });
  }

  /**
   * Has the outcome signed, and returns the handle to its manifest. Never waits, and never throws. `ran` are the
   * arguments of a call that ran with others than were decided, where that could not be prevented.
   */
  finish(outcome: Outcome, result?: unknown, ran?: Arguments): Signature {
    if (this.#signature) return this.#signature;
    this.#close();
    this.#signature = this.#issuer.sign(this, outcome, result, ran);
    return this.#signature;
  }

  /** Gives the ticket up: nothing ran, and nothing is signed. */
  discard(): void {
    this.#close();
    this.#signature ??= new Signature('off');
  }

  #close(): void {
    this.#used = true;
    this.#onStop = undefined;
    this.#issuer.end(this.#flight);
  }

  #stop(kill: KnownKill): void {
    if (this.#stopped || this.#signature) return;
    this.#stopped = killed(kill, this.decisionId);
    this.#controller?.abort(this.#stopped);
    this.#onStop?.(this.#stopped);
  }
}

/** The denial by a kill, in the words of the control plane. */
export function killed(kill: KnownKill, decisionId?: string): PolicyDenied {
  return new PolicyDenied(`killed (${kill.scope}): ${kill.reason}`, 'killed', decisionId);
}
