import type { components } from './generated/openapi.js';

/** A kill, as far as it can be told here what it covers. */
export interface KnownKill {
  killId: string;
  scope: string;
  tenant: string | undefined;
  tool: string | undefined;
  agent: string | undefined;
  reason: string;
}

/** What of a call a kill can cover. */
export interface Covered {
  tenant: string;
  tool: string;
  agent: string | undefined;
}

/** Whether a kill covers a call: `maybe` when only the control plane can tell. */
export type Coverage = 'yes' | 'no' | 'maybe';

type Kill = components['schemas']['Kill'];

/** The kills in force, as of the last event. */
export class Kills {
  readonly #known = new Map<string, KnownKill>();
  #epoch = 0;

  /** Takes over the state of `sync`; returns the kills that were not known before. */
  reset(epoch: number, kills: readonly Kill[]): KnownKill[] {
    const before = new Set(this.#known.keys());
    this.#known.clear();
    this.#epoch = epoch;
    for (const kill of kills) if (kill.in_force) this.#add(ofState(kill));
    return [...this.#known.values()].filter(({ killId }) => !before.has(killId));
  }

  /** Takes over an event; returns the kill if it is new. */
  disabled(epoch: number, kill: KnownKill): KnownKill | undefined {
    // Events up to the epoch of `sync` are in its state already.
    if (epoch <= this.#epoch) return undefined;
    this.#add(kill);
    return kill;
  }

  restored(epoch: number, killId: string): void {
    if (epoch > this.#epoch) this.#known.delete(killId);
  }

  /** A kill that covers the call for certain. */
  covering(call: Covered): KnownKill | undefined {
    if (this.#known.size === 0) return undefined;
    for (const kill of this.#known.values()) if (coverage(kill, call) === 'yes') return kill;
    return undefined;
  }

  #add(kill: KnownKill): void {
    this.#known.set(kill.killId, kill);
  }
}

function ofState(kill: Kill): KnownKill {
  return {
    killId: kill.kill_id,
    scope: kill.scope,
    tenant: kill.tenant ?? undefined,
    tool: kill.tool ?? undefined,
    agent: kill.agent ?? undefined,
    reason: kill.reason,
  };
}

/** Whether a kill covers a call. */
export function coverage(kill: KnownKill, call: Covered): Coverage {
  if (kill.tenant !== undefined && kill.tenant !== call.tenant) return 'no';
  switch (kill.scope) {
    case 'global':
      return 'yes';
    case 'tenant':
      return kill.tenant === undefined ? 'maybe' : 'yes';
    case 'tool':
      if (kill.tool === undefined || kill.tenant === undefined) return 'maybe';
      return kill.tool === call.tool ? 'yes' : 'no';
    case 'agent':
    case 'tenant_agent':
      return agentCoverage(kill.agent, call.agent);
    default:
      // Principals, scopes and tags, and what a later version adds: the control plane knows.
      return 'maybe';
  }
}

function agentCoverage(killed: string | undefined, named: string | undefined): Coverage {
  // A call that names no agent is that of the agent which the key is bound to.
  if (killed === undefined || named === undefined) return 'maybe';
  return killed.toLowerCase() === named.toLowerCase() ? 'yes' : 'no';
}
