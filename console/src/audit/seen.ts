"use client";

import { useSyncExternalStore } from "react";
import type { Entry } from "./entries";

/** Registry events since the console was opened: the server lists none of earlier. */
let seen: readonly Entry[] = [];
const listeners = new Set<() => void>();
const KEPT = 1_000;

export function remember(entry: Entry): void {
  seen = [entry, ...seen].slice(0, KEPT);
  for (const listener of listeners) listener();
}

export function forgetSeen(): void {
  seen = [];
}

export function useSeen(): readonly Entry[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => seen,
    () => seen,
  );
}
