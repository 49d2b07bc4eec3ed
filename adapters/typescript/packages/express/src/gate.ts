import { PolicyDenied, type Sentinel, sentinel } from '@sentinel-mcp/client';
import type { Call } from './call.js';
import { noPermit, type Refusal, refusalOf, unknownTool } from './refusal.js';

export interface PermitOptions {
  /** The client of this tool server, with a key of its own; that of the `SENTINEL_*` variables when left out. */
  client?: Sentinel | undefined;
  /** The identifier of the tool, when it is not to be looked up by its name. */
  toolId?: string | undefined;
}

/** The decision that allowed a call. */
export interface Redeemed {
  decisionId: string;
}

/** Between two look-ups of identifiers. */
const LOOKUP_MS = 5_000;
/** Reports that are on their way at most: a flood of calls must not become one of reports. */
const REPORTS = 8;

/** Redeems the permits of calls: each once, for the tool and the arguments that it was made for. */
export class Gate {
  readonly #client: () => Sentinel;
  readonly #toolId: string | undefined;
  #ids = new Map<string, string>();
  #doubtful = false;
  #lookedUp = Number.NEGATIVE_INFINITY;
  #reports = 0;

  constructor({ client, toolId }: PermitOptions) {
    this.#client = () => client ?? sentinel();
    this.#toolId = toolId;
  }

  /** Uses up the permit of a call. Only when this returns may the call be made. @throws Refusal */
  async redeem(permit: string | string[] | undefined, call: Call): Promise<Redeemed> {
    try {
      if (typeof permit !== 'string' || permit === '') throw noPermit();
      const toolId = this.#toolId ?? (await this.#lookUp(call.tool));
      const decisionId = await this.#client().redeem({ permit, toolId, arguments: call.arguments });
      return { decisionId };
    } catch (error) {
      // The tool may have been registered again, under another identifier.
      if (error instanceof PolicyDenied) this.#doubtful = true;
      const refusal = refusalOf(error);
      this.#report(call, refusal);
      throw refusal;
    }
  }

  async #lookUp(tool: string): Promise<string> {
    const now = performance.now();
    const wanted = this.#doubtful || !this.#ids.has(tool);
    // Not for each forged permit: until then, what is known holds.
    if (wanted && now - this.#lookedUp > LOOKUP_MS) {
      this.#lookedUp = now;
      this.#ids = await this.#client().toolIds();
      this.#doubtful = false;
    }
    const id = this.#ids.get(tool);
    if (id === undefined) throw unknownTool();
    return id;
  }

  /** The call came without Sentinel: an operator wants to know. The caller does not wait for that. */
  #report({ tool }: Call, { reported, code }: Refusal): void {
    try {
      const client = this.#client();
      client.log.write('warn', 'a call was refused', { tool, code });
      if (reported === undefined || this.#reports >= REPORTS) return;
      this.#reports += 1;
      void client.reportUncovered({ tool, reason: reported }).finally(() => {
        this.#reports -= 1;
      });
    } catch {
      // It is not configured: the call is refused all the same.
    }
  }
}
