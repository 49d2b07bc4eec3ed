/**
 * The spool on disk. Its format is that of adapters/conformance/README.md; the client for Python reads and writes it,
 * too. What is there has digests only: no arguments, no results, no keys.
 *
 * All of it is synchronous: it is used when the control plane is away, and at the end of the process, when nothing else
 * is possible.
 */
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { Place, Spool, SpoolStats, Waiting } from './spool.js';

const VERSION = 1;
const LARGEST_ENTRY = 64 * 1024;
/** More than an entry usually takes: room for one must be there before a call. */
const USUAL_ENTRY = 4096;
const LOCK = 'flush.lock';
/** After this a lock or a claim is that of a process that crashed. */
const STALE_MS = 60_000;
/** After this other processes' entries are counted again. */
const COUNTED_FOR_MS = 500;
const ENTRY = /^(\d{13})-[0-9a-f]{32}\.json(\.claimed)?$/;

export function openSpool(place: Place): Spool {
  return new DiskSpool(place);
}

/** Calls `last` right before the process ends, and `idle` when it would end by itself. */
export function atExit(last: () => void, idle: () => void): void {
  process.on('exit', last);
  process.on('beforeExit', idle);
}

function stateFolder(): string {
  if (process.platform === 'darwin') {
    return join(homedir(), 'Library/Application Support/sentinel-mcp/spool');
  }
  const state = process.env['XDG_STATE_HOME'] ?? '';
  return join(isAbsolute(state) ? state : join(homedir(), '.local/state'), 'sentinel-mcp/spool');
}

class DiskSpool implements Spool {
  readonly #folder: string;
  readonly #limit: number;
  #countedAt = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  constructor({ directory, url, tenant, apiKey, limit }: Place) {
    const scope = createHash('sha256').update(`${url}\n${tenant}\n${apiKey}`).digest('hex');
    this.#folder = join(directory ?? stateFolder(), scope.slice(0, 32));
    this.#limit = limit;
  }

  add({ key, request }: Waiting): boolean {
    const content = Buffer.from(JSON.stringify({ version: VERSION, key, request }));
    if (content.length > LARGEST_ENTRY || this.#used() + content.length > this.#limit) return false;
    if (!attempt(() => this.#write(content))) return false;
    this.#bytes += content.length;
    return true;
  }

  hasRoom(waiting: number): boolean {
    return this.#used() + USUAL_ENTRY * (waiting + 1) <= this.#limit;
  }

  entries(): string[] {
    const found: string[] = [];
    for (const name of this.#names().sort()) {
      if (!name.endsWith('.claimed')) found.push(name);
      else if (this.#age(name) >= STALE_MS) {
        const given = name.slice(0, -'.claimed'.length);
        if (attempt(() => fs.renameSync(this.#path(name), this.#path(given)))) found.push(given);
      }
    }
    return found;
  }

  claim(entry: string): Waiting | undefined {
    const claimed = this.#claimed(entry);
    const taken = attempt(() => {
      // First the time: between the two, another process must not take it for a stale one.
      fs.utimesSync(this.#path(entry), new Date(), new Date());
      fs.renameSync(this.#path(entry), claimed);
    });
    if (!taken) return undefined;
    // The flush goes on.
    attempt(() => fs.utimesSync(this.#path(LOCK), new Date(), new Date()));
    const read = reading(claimed);
    if (!read) attempt(() => fs.renameSync(claimed, this.#path(`${entry}.unreadable`)));
    return read;
  }

  remove(entry: string): void {
    const claimed = this.#claimed(entry);
    const size = sizeOf(claimed);
    if (attempt(() => fs.unlinkSync(claimed))) this.#bytes = Math.max(0, this.#bytes - size);
  }

  release(entry: string): void {
    attempt(() => fs.renameSync(this.#claimed(entry), this.#path(entry)));
  }

  lock(): boolean {
    const lock = this.#path(LOCK);
    for (let tries = 0; tries < 2; tries += 1) {
      if (attempt(() => fs.writeFileSync(lock, String(process.pid), { flag: 'wx', mode: 0o600 }))) {
        return true;
      }
      if (this.#age(LOCK) < STALE_MS) return false;
      // Two processes may both take it over: the claims still keep them apart.
      attempt(() => fs.unlinkSync(lock));
    }
    return false;
  }

  unlock(): void {
    attempt(() => fs.unlinkSync(this.#path(LOCK)));
  }

  stats(): Omit<SpoolStats, 'dropped'> {
    const names = this.#names().sort();
    const oldest = names[0]?.slice(0, 13);
    return {
      entries: names.length,
      bytes: this.#sum(names),
      oldestAge: oldest === undefined ? undefined : Math.max(0, Date.now() - Number(oldest)) / 1000,
    };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #claimed(entry: string): string {
    return this.#path(`${entry}.claimed`);
  }

  #names(): string[] {
    try {
      return fs.readdirSync(this.#folder).filter((name) => ENTRY.test(name));
    } catch {
      return [];
    }
  }

  #sum(names: string[]): number {
    return names.reduce((sum, name) => sum + sizeOf(this.#path(name)), 0);
  }

  #used(): number {
    const now = performance.now();
    if (now - this.#countedAt >= COUNTED_FOR_MS) {
      this.#bytes = this.#sum(this.#names());
      this.#countedAt = now;
    }
    return this.#bytes;
  }

  /** Milliseconds since a file was written or touched; one from the future is not stale. */
  #age(name: string): number {
    try {
      return Date.now() - fs.statSync(this.#path(name)).mtimeMs;
    } catch {
      return 0;
    }
  }

  #write(content: Buffer): void {
    this.#makeFolder();
    const name = `${String(Date.now()).padStart(13, '0')}-${randomBytes(16).toString('hex')}.json`;
    const temporary = this.#path(`.${name}.tmp`);
    try {
      fs.writeFileSync(temporary, content, { flag: 'wx', mode: 0o600, flush: true });
      fs.renameSync(temporary, this.#path(name));
    } catch (error) {
      attempt(() => fs.unlinkSync(temporary));
      throw error;
    }
    this.#syncFolder();
  }

  #makeFolder(): void {
    fs.mkdirSync(dirname(this.#folder), { recursive: true, mode: 0o700 });
    fs.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = fs.lstatSync(this.#folder);
    const own = process.getuid?.();
    if (own !== undefined && (uid !== own || (mode & 0o077) !== 0)) {
      throw new Error('the spool is open to others');
    }
  }

  #syncFolder(): void {
    if (process.platform === 'win32') return;
    const descriptor = fs.openSync(this.#folder, 'r');
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }
}

function reading(path: string): Waiting | undefined {
  try {
    const { version, key, request } = JSON.parse(fs.readFileSync(path, 'utf8'));
    const isEntry = typeof key === 'string' && typeof request === 'object' && request !== null;
    return version === VERSION && isEntry ? { key, request } : undefined;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  try {
    return fs.statSync(path).size;
  } catch {
    return 0;
  }
}

function attempt(operation: () => void): boolean {
  try {
    operation();
    return true;
  } catch {
    return false;
  }
}
