/**
 * How the console proves who it is: the one file that changes when `POST /v1/session` exists. A
 * session cookie needs no header and no subprotocol; `present` then exchanges the key, and `attach`
 * adds the CSRF token.
 */

const STORED = "sentinel.key";

let key: string | null = null;

/** Takes the key that the user pasted. It stays in memory, and in this tab's storage if asked. */
export function present(pasted: string, keepForTab: boolean): void {
  key = pasted;
  if (keepForTab) sessionStorage.setItem(STORED, pasted);
  else sessionStorage.removeItem(STORED);
}

/** Whether a key was kept for this tab; it becomes the one in use. */
export function recall(): boolean {
  key ??= sessionStorage.getItem(STORED);
  return key !== null;
}

export function forget(): void {
  key = null;
  sessionStorage.removeItem(STORED);
}

/** Adds the credential to a request. */
export function attach(headers: Headers): void {
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
}

/** The subprotocols of a WebSocket: a browser can set no header there. */
export function socketProtocols(): string[] {
  return key === null ? ["sentinel.v1"] : ["sentinel.v1", `bearer.${key}`];
}

/**
 * The role that the key names (`snt_<role>_<random>`). The interface has no way of asking, and what
 * the key says is only used to decide what to show: the server decides what may be done.
 */
export function statedRole(): string | null {
  return key?.match(/^snt_([a-z]+)_/)?.[1] ?? null;
}
