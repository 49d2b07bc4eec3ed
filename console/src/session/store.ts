import { useSyncExternalStore } from "react";
import { type Capability, may, type Role, roleNamed } from "./capabilities";
import { forget, statedRole } from "./credential";

/** Why the user has to sign in. */
export type Ended = "never" | "signed_out" | "refused";

export type Session =
  | { state: "unknown" }
  | { state: "out"; ended: Ended }
  | { state: "in"; role: Role | null; withoutKey: boolean };

let session: Session = { state: "unknown" };
const listeners = new Set<() => void>();

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

export function begin(withoutKey: boolean): void {
  // A server that asks for no key treats everyone as an administrator.
  become({ state: "in", role: withoutKey ? "admin" : roleNamed(statedRole()), withoutKey });
}

export function end(ended: Ended): void {
  forget();
  become({ state: "out", ended });
}

export function currentSession(): Session {
  return session;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const UNKNOWN: Session = { state: "unknown" };

export function useSession(): Session {
  return useSyncExternalStore(subscribe, currentSession, () => UNKNOWN);
}

export function useRole(): Role | null {
  const current = useSession();
  return current.state === "in" ? current.role : null;
}

export function useMay(capability: Capability): boolean {
  return may(useRole(), capability);
}
