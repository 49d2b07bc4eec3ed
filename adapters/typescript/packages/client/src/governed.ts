import type { Sentinel } from './client.js';
import type { Signature } from './signature.js';
import type { Arguments, Ticket } from './ticket.js';

export interface GovernedOptions<A extends Arguments = Arguments> {
  action?: string | undefined;
  purpose?: string | undefined;
  agent?: string | undefined;
  context?: Readonly<Record<string, unknown>> | undefined;
  /** Makes a repeated call the same call: from what the caller knows it by. */
  callId?: ((args: A) => string) | undefined;
}

/** What a call returned, and the handle to its manifest. */
export interface Run<R> {
  result: R;
  decisionId: string;
  signature: Signature;
}

/** A governed function. It rejects with what stopped the call, or with what the function threw. */
export interface Governed<A extends Arguments, R> {
  (args: A): Promise<R>;
  /** As the call itself, with the decision and the handle to the manifest. */
  run(args: A): Promise<Run<R>>;
}

export function governedBy<A extends Arguments, R>(
  client: () => Sentinel,
  tool: string,
  call: (args: A, run: { signal: AbortSignal; ticket: Ticket }) => R | PromiseLike<R>,
  options: GovernedOptions<A>,
): Governed<A, R> {
  const { callId, ...stated } = options;
  const decided = (args: A): Promise<Ticket> =>
    client().decide({ ...stated, tool, arguments: args, callId: callId?.(args) });
  const made = (ticket: Ticket, args: A): Promise<R> =>
    ticket.run(tool, args, (signal) => call(args, { signal, ticket }));

  const governed = async (args: A): Promise<R> => made(await decided(args), args);
  const run = async (args: A): Promise<Run<R>> => {
    const ticket = await decided(args);
    const result = await made(ticket, args);
    // The outcome is known by now, so this only returns its handle.
    return { result, decisionId: ticket.decisionId, signature: ticket.finish('succeeded', result) };
  };
  return Object.assign(governed, { run });
}
