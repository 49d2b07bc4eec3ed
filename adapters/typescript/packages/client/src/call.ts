/** One call of a tool that an agent wants to make. */
export interface Call {
  /** Name of the tool, as it is registered. */
  tool: string;
  /** What is done with it; `call` when left out. */
  action?: string | undefined;
  /** A JSON object; policy sees it, and only its hash is kept. */
  arguments?: Readonly<Record<string, unknown>> | undefined;
  purpose?: string | undefined;
  /** The agent that calls; that of the settings when left out. */
  agent?: string | undefined;
  /** Whatever else policy may want to know. */
  context?: Readonly<Record<string, unknown>> | undefined;
  /** Makes the check idempotent: adapters derive it from the framework's session and call. */
  callId?: string | undefined;
}

export const DEFAULT_ACTION = 'call';

/** How a call ended. */
export type Outcome = 'succeeded' | 'failed' | 'cancelled';
