import { Sentinel } from './client.js';
import { type Governed, type GovernedOptions, governedBy } from './governed.js';
import type { Arguments, Ticket } from './ticket.js';

let shared: Sentinel | undefined;

/** The client of this process, as the `SENTINEL_*` variables say; made when it is first used. */
export function sentinel(): Sentinel {
  shared ??= new Sentinel({ logger: { warn: console.warn, error: console.error } });
  return shared;
}

/**
 * A function that has each of its calls decided by Sentinel, and signed afterwards:
 *
 *     const search = governed('web-search', ({ query }) => fetchResults(query));
 *
 * The settings are read when it is first called.
 */
export function governed<A extends Arguments, R>(
  tool: string,
  call: (args: A, run: { signal: AbortSignal; ticket: Ticket }) => R | PromiseLike<R>,
  options: GovernedOptions<A> & { client?: Sentinel } = {},
): Governed<A, R> {
  const { client, ...stated } = options;
  return governedBy(() => client ?? sentinel(), tool, call, stated);
}
