/** Where there is no disk, nothing waits. */
import type { Place, Spool } from './spool.js';

export function openSpool(_place: Place): Spool {
  return {
    add: () => false,
    // There never is any, and that must not deny every call.
    hasRoom: () => true,
    entries: () => [],
    claim: () => undefined,
    remove: () => undefined,
    release: () => undefined,
    lock: () => false,
    unlock: () => undefined,
    stats: () => ({ entries: 0, bytes: 0, oldestAge: undefined }),
  };
}

export function atExit(_last: () => void, _idle: () => void): void {}
