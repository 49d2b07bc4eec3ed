/** Outcomes that could not be signed wait on disk: what the two implementations have in common. */

/** What waits, and what was lost. */
export interface SpoolStats {
  entries: number;
  bytes: number;
  /** Seconds since the oldest entry was written; `undefined` when there is none. */
  oldestAge: number | undefined;
  /** Outcomes that this process has dropped: the spool was full, or the control plane refused them for good. */
  dropped: number;
}

/** An outcome that is to be signed: the request, and the key by which it is signed once. */
export interface Waiting {
  key: string;
  request: object;
}

/** Where the spool is, whose outcomes are in it, and how many bytes it may have. */
export interface Place {
  directory: string | undefined;
  url: string;
  tenant: string;
  apiKey: string;
  limit: number;
}

/** The outcomes of one key at one control plane. Nothing here throws; writing is done when a function returns. */
export interface Spool {
  /** Keeps an outcome; false when there is no room for it, or it cannot be written. */
  add(outcome: Waiting): boolean;
  /** Whether outcomes of the usual size would find room: those that wait in memory, and one more. */
  hasRoom(waiting: number): boolean;
  /** The entries that no process sends, oldest first. */
  entries(): string[];
  /** Makes an entry this process's own; `undefined` when another has it, or it cannot be read. */
  claim(entry: string): Waiting | undefined;
  /** A claimed entry was sent. */
  remove(entry: string): void;
  /** Gives a claimed entry back. */
  release(entry: string): void;
  /** Becomes the one process that flushes; false when another is. */
  lock(): boolean;
  unlock(): void;
  stats(): Omit<SpoolStats, 'dropped'>;
}
