import {
  type Arguments,
  ControlPlaneUnavailable,
  PolicyDenied,
  type Sentinel,
  sentinel,
} from '@sentinel-mcp/client';

export interface PermitOptions {
  /** The client of this tool server, with a key of its own; that of the `SENTINEL_*` variables when left out. */
  client?: Sentinel | undefined;
  /** The identifier of the tool, when it is not to be looked up by its name. */
  toolId?: string | undefined;
}

/** The call that is about to be made. */
export interface Called {
  tool: string;
  arguments: Arguments;
}

/** The decision that allowed a call. */
export interface Redeemed {
  decisionId: string;
}

/** Between two look-ups of identifiers. */
const LOOKUP_MS = 5_000;

/** Redeems the permits of calls: each once, for the tool and the arguments that it was made for. */
export class PermitGate {
  readonly #client: () => Sentinel;
  readonly #toolId: string | undefined;
  #ids = new Map<string, string>();
  #doubtful = false;
  #lookedUp = Number.NEGATIVE_INFINITY;

  constructor({ client, toolId }: PermitOptions = {}) {
    this.#client = () => client ?? sentinel();
    this.#toolId = toolId;
  }

  /**
   * Uses up the permit of a call. Only when this returns may the call be made.
   *
   * @throws PolicyDenied when there is no permit that is good for the call; ControlPlaneUnavailable when that is not
   * known.
   */
  async redeem(permit: string | string[] | undefined, call: Called): Promise<Redeemed> {
    try {
      if (typeof permit !== 'string' || permit === '') {
        throw new PolicyDenied('the call carries no permit of Sentinel', 'permit_missing');
      }
      const toolId = this.#toolId ?? (await this.#lookUp(call.tool));
      const decisionId = await this.#client().redeem({ permit, toolId, arguments: call.arguments });
      return { decisionId };
    } catch (error) {
      if (error instanceof PolicyDenied) this.#report(call.tool, error.code);
      // The tool may have been registered again, under another identifier.
      if (error instanceof PolicyDenied && error.code === 'permit_invalid') this.#doubtful = true;
      throw error;
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
    if (id === undefined) throw new PolicyDenied('the tool is not registered', 'unknown_tool');
    return id;
  }

  /** The call came without Sentinel: an operator wants to know. */
  #report(tool: string, reason: string): void {
    void this.#client().reportUncovered({ tool, reason });
  }
}

/** What the caller is told: the status, and a body as RFC 9457 says. Never 401 or 404, which clients answer with a repeat. */
export function problem(error: unknown): { status: number; body: string } {
  const known = error instanceof PolicyDenied || error instanceof ControlPlaneUnavailable;
  const status = error instanceof PolicyDenied ? 403 : 503;
  const code = known ? error.code : 'error';
  const detail = known
    ? error.modelMessage
    : 'The permit could not be redeemed. The tool was not run.';
  const type = `https://sentinel-mcp.dev/problems/${code}`;
  const title = status === 403 ? 'Not allowed by Sentinel' : 'Sentinel is not available';
  return { status, body: JSON.stringify({ type, title, status, detail, code }) };
}
