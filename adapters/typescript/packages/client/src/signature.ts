/** What became of an outcome. `spooled`: it is signed later; `dropped`: it is not signed, which is logged. */
export type SignatureState = 'pending' | 'signed' | 'spooled' | 'dropped' | 'off';

/** A handle to the manifest of an outcome. Nothing here ever rejects because of signing. */
export class Signature {
  #state: SignatureState;
  #manifestId: string | undefined;
  #resolve: (() => void) | undefined;
  #done: Promise<void> | undefined;
  readonly #waits: boolean;
  readonly #hurry: (() => void) | undefined;

  constructor(state: 'pending' | 'off' = 'pending', waits = false, hurry?: () => void) {
    this.#state = state;
    this.#waits = waits;
    this.#hurry = hurry;
  }

  get state(): SignatureState {
    return this.#state;
  }

  /** The manifest, once there is one. */
  get manifestId(): string | undefined {
    return this.#manifestId;
  }

  /** Resolves to the manifest, or to `undefined` when there is none: `state` says why. */
  async wait(): Promise<string | undefined> {
    if (this.#state === 'pending') {
      this.#done ??= new Promise((resolve) => {
        this.#resolve = resolve;
      });
      this.#hurry?.();
      await this.#done;
    }
    return this.#manifestId;
  }

  /** Waits where the setting `sign` is `before_return`; else `undefined`. */
  settled(): Promise<unknown> | undefined {
    return this.#waits ? this.wait() : undefined;
  }

  /** Says what became of it; for the signer. */
  resolve(state: SignatureState, manifestId?: string): void {
    if (this.#state !== 'pending') return;
    this.#state = state;
    this.#manifestId = manifestId;
    this.#resolve?.();
  }
}
