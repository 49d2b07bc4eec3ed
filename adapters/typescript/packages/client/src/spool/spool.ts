/** Outcomes that could not be signed wait on disk: what the two implementations have in common. */

/** What waits, and what was lost. */
export interface SpoolStats {
  entries: number;
  bytes: number;
  /** Seconds since the oldest entry was written; `undefined` when there is none. */
  oldestAge: number | undefined;
  /** Outcomes that were dropped since the process began: the spool was full, or the control plane refused them. */
  dropped: number;
}

/** What becomes of an entry that is sent: it is removed, or it stays for the next time, which ends the flush. */
export type Sent = 'remove' | 'stay';

export interface Spool {
  /** Keeps an entry; false when there is no room for it, or it cannot be written. */
  add(key: string, body: string): Promise<boolean>;
  /** Whether an entry of the usual size would find room. */
  hasRoom(): boolean;
  /** Sends the entries, oldest first, unless another process does. */
  flush(send: (body: string) => Promise<Sent>): Promise<void>;
  stats(): Promise<Omit<SpoolStats, 'dropped'>>;
}
