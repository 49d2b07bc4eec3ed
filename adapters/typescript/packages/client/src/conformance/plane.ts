import type { Target } from './cases.js';

export interface Signed {
  tool: string;
  /** What was signed; `undefined` when the control plane does not keep it. */
  payload: Record<string, unknown> | undefined;
  decisionId: string | undefined;
}

/** What the kit needs of a control plane. */
export interface ConformancePlane {
  readonly url: string;
  readonly tenant: string;
  readonly apiKey: string;
  /** How a kill names the principal of the key. */
  readonly principal: string;
  /** Resolves when the control plane has answered. */
  kill(target: Target): Promise<void>;
  restore(target: Target): Promise<void>;
  decisions(): Promise<string[]>;
  signed(): Promise<Signed[]>;
}
