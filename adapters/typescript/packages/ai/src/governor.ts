import { randomUUID } from 'node:crypto';
import { type Arguments, PolicyDenied, type Sentinel, type Ticket } from '@sentinel-mcp/client';

export interface Stated {
  action?: string | undefined;
  purpose?: string | undefined;
  agent?: string | undefined;
  context?: Readonly<Record<string, unknown>> | undefined;
  /** The name under which a tool is registered; its name in the tool set when left out. */
  registeredName?: ((name: string) => string) | undefined;
}

/** A ticket that was made for an approval is used for the call if that follows within this time. */
const KEPT_MS = 50_000;

interface Kept {
  ticket: Ticket;
  timer: ReturnType<typeof setTimeout>;
}

/** Decides the calls of one set of tools. */
export class Governor {
  readonly #client: () => Sentinel;
  readonly #stated: Stated;
  readonly #session = randomUUID();
  readonly #kept = new Map<string, Kept>();
  #calls = 0;

  constructor(client: () => Sentinel, stated: Stated) {
    this.#client = client;
    this.#stated = stated;
  }

  /** The name of a tool as it is registered. */
  registered(name: string): string {
    return this.#stated.registeredName?.(name) ?? name;
  }

  /** Decides a call before it is approved, and keeps the decision for when it is made. */
  async decideForApproval(name: string, toolCallId: string, input: unknown): Promise<void> {
    const ticket = await this.#decide(name, toolCallId, input);
    this.#take(toolCallId)?.discard();
    const timer = setTimeout(() => this.#take(toolCallId)?.discard(), KEPT_MS);
    timer.unref();
    this.#kept.set(toolCallId, { ticket, timer });
  }

  /** The decision on a call that is made now. */
  async decideForCall(name: string, toolCallId: string, input: unknown): Promise<Ticket> {
    const kept = this.#take(toolCallId);
    // With other arguments, or after a kill, it is another call.
    if (kept && !kept.stopped && kept.matches(this.registered(name), args(input))) return kept;
    kept?.discard();
    return this.#decide(name, toolCallId, input);
  }

  #decide(name: string, toolCallId: string, input: unknown): Promise<Ticket> {
    const { registeredName: _, ...stated } = this.#stated;
    // Providers count their calls from zero in each run, so their identifier alone is not unique.
    this.#calls += 1;
    const callId = `${this.#session}.${this.#calls}.${toolCallId}`.slice(0, MAX_CALL_ID);
    return this.#client().decide({
      ...stated,
      tool: this.registered(name),
      arguments: args(input),
      callId,
    });
  }

  #take(toolCallId: string): Ticket | undefined {
    const kept = this.#kept.get(toolCallId);
    if (!kept) return undefined;
    clearTimeout(kept.timer);
    this.#kept.delete(toolCallId);
    return kept.ticket;
  }
}

const MAX_CALL_ID = 128;

/** The arguments of a call, as policy sees them: tools with a single value have it under `input`. */
export function args(input: unknown): Arguments {
  if (typeof input === 'object' && input !== null && !Array.isArray(input))
    return input as Arguments;
  return input === undefined ? {} : { input };
}

/** The text for the model, whatever failed. */
export function refusal(error: unknown): string {
  if (error instanceof Error && 'modelMessage' in error) return String(error.modelMessage);
  return new PolicyDenied('the call could not be decided', 'error').modelMessage;
}
