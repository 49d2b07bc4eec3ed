import { type Sentinel, sentinel } from '@sentinel-mcp/client';
import type { ToolSet } from 'ai';
import { args, Governor, type Stated } from './governor.js';

export interface GovernOptions extends Stated {
  /** The client; that of the `SENTINEL_*` variables when left out. */
  client?: Sentinel | undefined;
  /** Tools that are left as they are, by name: those that run elsewhere have no place to be stopped here. */
  ungoverned?: readonly string[] | undefined;
}

/** A tool cannot be governed, because it does not run in this process. */
export class UngovernedTool extends Error {
  override readonly name = 'UngovernedTool';

  constructor(tool: string) {
    super(
      `the tool \`${tool}\` has no \`execute\`: it runs at the provider or the client, where Sentinel cannot stop it; ` +
        'name it in `ungoverned` to leave it as it is',
    );
  }
}

type AnyTool = ToolSet[string];
type Execute = NonNullable<AnyTool['execute']>;
type Options = Parameters<Execute>[1];

const governors = new WeakMap<object, Governor>();

/** The governor of a set of tools that `governTools` returned. */
export function governorOf(tools: object): Governor | undefined {
  return governors.get(tools);
}

/**
 * The same tools, with each call decided before it runs and signed afterwards. What is denied throws, and the model
 * reads why.
 *
 * @throws UngovernedTool for a tool without `execute` that is not named in `ungoverned`.
 */
export function governTools<TOOLS extends ToolSet>(
  tools: TOOLS,
  options: GovernOptions = {},
): TOOLS {
  const { client, ungoverned = [], ...stated } = options;
  const governor = new Governor(() => client ?? sentinel(), stated);
  const entries = Object.entries(tools).map(([name, tool]) => [
    name,
    ungoverned.includes(name) ? tool : governed(name, tool, governor),
  ]);
  const result = Object.fromEntries(entries) as TOOLS;
  governors.set(result, governor);
  return result;
}

function governed(name: string, tool: AnyTool, governor: Governor): AnyTool {
  const { execute } = tool;
  if (typeof execute !== 'function') throw new UngovernedTool(name);
  const bound = (input: unknown, options: Options) => execute.call(tool, input as never, options);
  const wrapped = isGenerator(execute)
    ? streaming(name, bound, governor)
    : returning(name, bound, governor);
  return { ...tool, execute: wrapped } as AnyTool;
}

function isGenerator(execute: object): boolean {
  return Object.prototype.toString.call(execute) === '[object AsyncGeneratorFunction]';
}

type Bound = (input: unknown, options: Options) => unknown;

function returning(name: string, execute: Bound, governor: Governor) {
  return async (input: unknown, options: Options): Promise<unknown> => {
    const ticket = await governor.decideForCall(name, options.toolCallId, input);
    const tool = governor.registered(name);
    return ticket.run(tool, args(input), async (killed) => {
      const result = execute(input, {
        ...options,
        abortSignal: either(killed, options.abortSignal),
      });
      // A function that returns an iterable is not known to before it runs: its last value is the result.
      return isIterable(result) ? last(result) : result;
    });
  };
}

function streaming(name: string, execute: Bound, governor: Governor) {
  return async function* (input: unknown, options: Options): AsyncGenerator<unknown> {
    const ticket = await governor.decideForCall(name, options.toolCallId, input);
    ticket.verify(governor.registered(name), args(input));
    const abortSignal = either(ticket.signal, options.abortSignal);
    const parts = (execute(input, { ...options, abortSignal }) as AsyncIterable<unknown>)[
      Symbol.asyncIterator
    ]();
    let result: unknown;
    let ended = false;
    try {
      for (;;) {
        const part = await unlessAborted(parts.next(), ticket.signal);
        if (part.done) break;
        result = part.value;
        yield result;
      }
      if (ticket.stopped) throw ticket.stopped;
      ended = true;
    } catch (error) {
      ended = true;
      await ticket.failed(error).settled();
      // What the tool still does is not waited for.
      parts.return?.().then(undefined, () => undefined);
      throw error;
    } finally {
      // The run was given up before the tool had ended.
      if (!ended) {
        parts.return?.().then(undefined, () => undefined);
        ticket.finish('cancelled', result);
      }
    }
    await ticket.finish('succeeded', result).settled();
  };
}

function either(killed: AbortSignal, abort: AbortSignal | undefined): AbortSignal {
  return abort ? AbortSignal.any([killed, abort]) : killed;
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

async function last(parts: AsyncIterable<unknown>): Promise<unknown> {
  let result: unknown;
  for await (const part of parts) result = part;
  return result;
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
