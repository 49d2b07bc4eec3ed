/** Where there is no disk, nothing waits. */
import type { Spool } from './spool.js';

export function openSpool(_directory: string | undefined, _limit: number, _scope: string): Spool {
  return {
    add: async () => false,
    // There never is, and that must not deny every call.
    hasRoom: () => true,
    flush: async () => undefined,
    stats: async () => ({ entries: 0, bytes: 0, oldestAge: undefined }),
  };
}
