import { createHash } from 'node:crypto';
import {
  type Arguments,
  canonical,
  PolicyDenied,
  type Sentinel,
  SentinelError,
  type Ticket,
} from '@sentinel-mcp/client';

export interface Stated {
  action?: string | undefined;
  purpose?: string | undefined;
  /** The agent that is decided on; that of the client when left out. */
  agent?: string | undefined;
  /** Called when a kill covers a running call, which hooks cannot stop: `() => run.interrupt()` ends the turn. */
  onKill?: ((denied: PolicyDenied) => void) | undefined;
  /** Written before Claude's name of a tool to make the name under which it is registered. */
  prefix?: string | undefined;
  /** The name under which a tool is registered, where a prefix does not make it. */
  registeredName?: ((tool: string) => string) | undefined;
}

/** A call as Claude's hooks describe it. */
export interface HookCall {
  sessionId: string;
  toolUseId: string;
  tool: string;
  input: unknown;
  /** The subagent that calls, where it is one. */
  subagent?: string | undefined;
}

/** Calls whose end was not heard of; older ones are given up. */
const MAX_OPEN = 10_000;
const MAX_CALL_ID = 128;

interface Open {
  call: HookCall;
  /** More than one for a call whose input was rewritten in between. */
  tickets: Ticket[];
}

/** The calls of one agent, from their decision to their end. */
export class Calls {
  readonly #client: () => Sentinel;
  readonly #stated: Stated;
  /** By the identifier that Claude gave them. */
  readonly #open = new Map<string, Open>();

  constructor(client: () => Sentinel, stated: Stated) {
    this.#client = client;
    this.#stated = stated;
  }

  get client(): Sentinel {
    return this.#client();
  }

  /** The name of a tool as it is registered. */
  registered(tool: string): string {
    const { prefix = '', registeredName } = this.#stated;
    return registeredName?.(tool) ?? `${prefix}${tool}`;
  }

  /** Has a call decided. @throws SentinelError when it may not be made. */
  async decide(call: HookCall): Promise<void> {
    const { onKill, action, purpose, agent } = this.#stated;
    const args = asArguments(call.input);
    const tool = this.registered(call.tool);
    const decided = this.#open.get(call.toolUseId)?.tickets ?? [];
    const known = decided.find((ticket) => ticket.matches(tool, args));
    if (known && !known.stopped) return;
    const ticket = await this.client.decide({
      action,
      purpose,
      agent,
      tool,
      arguments: args,
      callId: callId(call, args),
      ...(call.subagent === undefined ? {} : { context: { subagent: call.subagent } }),
    });
    if (onKill) whenKilled(ticket, onKill);
    this.#keep(call, ticket);
  }

  /** Has what became of a known call decided. @throws SentinelError when it may not be made. */
  async decideRewritten(tool: string, toolUseId: string, input: unknown): Promise<void> {
    const call = this.#open.get(toolUseId)?.call ?? { sessionId: '', toolUseId, tool };
    await this.decide({ ...call, input });
  }

  /** The decision by which a call ran that has ended; `changed` when none was made for this input. */
  take(call: HookCall): { ticket: Ticket | undefined; changed: boolean } {
    const tickets = this.#open.get(call.toolUseId)?.tickets ?? [];
    this.#open.delete(call.toolUseId);
    const tool = this.registered(call.tool);
    const ran = tickets.findLast((ticket) => ticket.matches(tool, call.input as Arguments));
    const ticket = ran ?? tickets.at(-1);
    for (const other of tickets) if (other !== ticket) other.discard();
    return { ticket, changed: ran === undefined };
  }

  #keep(call: HookCall, ticket: Ticket): void {
    const tickets = this.#open.get(call.toolUseId)?.tickets ?? [];
    this.#open.set(call.toolUseId, { call, tickets: [...tickets, ticket] });
    if (this.#open.size <= MAX_OPEN) return;
    for (const [oldest, open] of this.#open) {
      for (const old of open.tickets) old.discard();
      this.#open.delete(oldest);
      return;
    }
  }
}

function whenKilled({ signal }: Ticket, onKill: (denied: PolicyDenied) => void): void {
  signal.addEventListener('abort', () => onKill(signal.reason as PolicyDenied), { once: true });
}

function asArguments(input: unknown): Arguments {
  if (typeof input === 'object' && input !== null && !Array.isArray(input))
    return input as Arguments;
  throw new PolicyDenied('the input of the tool is not an object', 'invalid_arguments');
}

/** The same call of the same session is the same for the control plane; with a rewritten input it is another. */
function callId({ sessionId, toolUseId }: HookCall, args: Arguments): string {
  const input = sha256(safeCanonical(args)).slice(0, 16);
  const plain = `${sessionId}.${toolUseId}.${input}`;
  return plain.length <= MAX_CALL_ID && /^[\x21-\x7e]+$/.test(plain) ? plain : sha256(plain);
}

/** What is not JSON is refused later, with the reason. */
function safeCanonical(args: Arguments): string {
  try {
    return canonical(args);
  } catch {
    return '';
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The text for the model, whatever failed. */
export function refusal(error: unknown): string {
  if (error instanceof SentinelError) return error.modelMessage;
  return new PolicyDenied('the call could not be decided', 'error').modelMessage;
}
