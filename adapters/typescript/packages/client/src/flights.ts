import { type Covered, coverage, type KnownKill } from './kills.js';

/** Asks whether a call may go on, when only the control plane knows whether a kill covers it. */
export type Ask = () => Promise<KillCheck>;
export type KillCheck = 'goes_on' | 'ended';

/** One call, from before it is decided until it has ended. */
export class Flight {
  readonly covered: Covered;
  /** Set once the call is allowed. */
  ask: Ask | undefined;
  /** Called when a kill covers the call. */
  end: ((kill: KnownKill) => void) | undefined;
  #killed: KnownKill | undefined;
  #doubt: KnownKill | undefined;

  constructor(covered: Covered) {
    this.covered = covered;
  }

  /** The kill that covers the call, if there is one. */
  get killed(): KnownKill | undefined {
    return this.#killed;
  }

  hear(kill: KnownKill): void {
    const covers = coverage(kill, this.covered);
    if (covers === 'yes') this.kill(kill);
    else if (covers === 'maybe') this.#doubted(kill);
  }

  /** The call is allowed: `ask` is how to have a doubt settled. */
  allowed(ask: Ask): void {
    this.ask = ask;
    if (this.#doubt) this.#settle(this.#doubt);
  }

  kill(kill: KnownKill): void {
    if (this.#killed) return;
    this.#killed = kill;
    this.end?.(kill);
  }

  #doubted(kill: KnownKill): void {
    this.#doubt = kill;
    this.#settle(kill);
  }

  #settle(kill: KnownKill): void {
    this.ask?.().then(
      (check) => check === 'ended' && this.kill(kill),
      // A control plane that does not say that the call may go on may mean the kill.
      () => this.kill(kill),
    );
  }
}

/** The calls that have not ended. */
export class Flights {
  readonly #flights = new Set<Flight>();

  get size(): number {
    return this.#flights.size;
  }

  begin(covered: Covered): Flight {
    const flight = new Flight(covered);
    this.#flights.add(flight);
    return flight;
  }

  end(flight: Flight): void {
    this.#flights.delete(flight);
  }

  hear(kill: KnownKill): void {
    for (const flight of this.#flights) flight.hear(kill);
  }
}
