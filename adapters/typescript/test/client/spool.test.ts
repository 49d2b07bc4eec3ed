import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ALLOW, DECISION, type Fake, fake, json, type Received } from '../kit/fake.js';
import { closing, unique } from '../kit/sentinel.js';

const MANIFEST = '01a224f8-b17f-77c6-b020-34916a90f263';
const DAY = '1796000000000';

interface Signing {
  server: Fake;
  /** Whether it signs. */
  works: boolean;
  signed(): Received[];
}

/** A control plane that allows everything, and signs when it works. */
async function signing(
  works: boolean,
  answer?: (response: ServerResponse) => void,
): Promise<Signing> {
  const server = await fake((request, response) => {
    if (request.path === '/policy/check') return json(response, 200, ALLOW);
    if (request.path.startsWith('/v1/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const sync = { event: 'sync', epoch: 1, gap: false, kills: [] };
      return response.write(`event: sync\ndata: ${JSON.stringify(sync)}\n\n`);
    }
    if (request.path !== '/provenance/sign') return json(response, 404, {});
    if (!state.works) return answer ? answer(response) : json(response, 503, {});
    return json(response, 201, { manifest_id: MANIFEST });
  });
  const state = { server, works, signed: () => server.to('/provenance/sign') };
  return state;
}

function options(server: Fake, spoolDir: string, more = {}) {
  return { url: server.url, apiKey: 'key', killStream: false, spoolDir, ...more };
}

/** The folder of a client's entries, as the format says. */
function folder(server: Fake, spoolDir: string): string {
  const scope = createHash('sha256').update(`${server.url}\nadapters\nkey`).digest('hex');
  return join(spoolDir, scope.slice(0, 32));
}

async function entries(path: string): Promise<string[]> {
  return (await readdir(path)).sort();
}

const directory = () => join(tmpdir(), unique('spool'));

describe('the spool', () => {
  test('keeps what could not be signed, for the owner only, with digests only, and sends it once', async () => {
    const [plane, spoolDir] = [await signing(false), directory()];
    const sentinel = closing(options(plane.server, spoolDir));
    const call = sentinel.governed('search', () => 'the-result');
    const { signature } = await call.run({ query: 'the-argument' });
    expect(await signature.wait()).toBeUndefined();
    expect(signature.state).toBe('spooled');

    const path = folder(plane.server, spoolDir);
    const [name = ''] = await entries(path);
    expect(name).toMatch(/^\d{13}-[0-9a-f]{32}\.json$/);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(join(path, name))).mode & 0o777).toBe(0o600);
    const text = await readFile(join(path, name), 'utf8');
    expect(text).not.toMatch(/the-result|the-argument|"key":"key"/);
    const { version, key, request } = JSON.parse(text);
    expect(version).toBe(1);
    expect(key).toMatch(/^[A-Za-z0-9_.:-]{1,200}$/);
    expect(request).toMatchObject({
      tenant_slug: 'adapters',
      tool_name: 'search',
      decision_id: DECISION,
    });
    expect(Object.keys(request.payload).sort()).toEqual([
      'arguments_sha256',
      'outcome',
      'result_sha256',
      'salt',
    ]);
    expect(sentinel.spoolStats()).toMatchObject({ entries: 1, bytes: text.length, dropped: 0 });
    expect(sentinel.spoolStats().oldestAge).toBeLessThan(10);

    plane.works = true;
    await sentinel.flush();
    expect(await entries(path)).toEqual([]);
    expect(JSON.parse(plane.signed().at(-1)?.body ?? '')).toMatchObject(request);
    expect(sentinel.spoolStats()).toMatchObject({ entries: 0, oldestAge: undefined });
  });

  test('what is signed commits to the result by its salt', async () => {
    const plane = await signing(true);
    const sentinel = closing(options(plane.server, directory()));
    const { signature } = await sentinel.governed('search', () => ({ b: 1, a: [2] })).run({ q: 1 });
    expect(await signature.wait()).toBe(MANIFEST);
    const { payload } = JSON.parse(plane.signed()[0]?.body ?? '');
    const hash = (...parts: (string | Buffer)[]) => {
      const sha = createHash('sha256');
      for (const part of parts) sha.update(part);
      return sha.digest('hex');
    };
    expect(payload.outcome).toBe('succeeded');
    expect(payload.arguments_sha256).toBe(hash('{"q":1}'));
    expect(payload.result_sha256).toBe(hash(Buffer.from(payload.salt, 'hex'), '{"a":[2],"b":1}'));
    expect(payload.salt).toMatch(/^[0-9a-f]{64}$/);
  });

  test('an outcome that comes while others are sent is not left behind', async () => {
    const slow = (response: ServerResponse) =>
      setTimeout(() => json(response, 201, { manifest_id: MANIFEST }), 60);
    const plane = await signing(false, slow);
    const sentinel = closing(options(plane.server, directory(), { sign: 'before_return' }));
    const call = sentinel.governed('search', () => 1);
    const began = performance.now();
    const pause = (milliseconds: number) => new Promise((end) => setTimeout(end, milliseconds));
    await Promise.all([0, 20, 40, 80].map(async (after) => call({ after: await pause(after) })));
    expect(plane.signed()).toHaveLength(4);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('full: the next call is denied, or the outcome is dropped', async () => {
    const plane = await signing(false);
    const strict = closing(options(plane.server, directory(), { spoolBytes: 4200 }));
    const { signature } = await strict.governed('search', () => 1).run({});
    await signature.wait();
    await expect(strict.decide({ tool: 'search' })).rejects.toMatchObject({ code: 'spool_full' });

    const lines: unknown[] = [];
    const logger = { error: (...line: unknown[]) => lines.push(line) };
    const lenient = closing(
      options(plane.server, directory(), { spoolBytes: 10, onSpoolFull: 'drop', logger }),
    );
    const dropped = await lenient.governed('search', () => 1).run({});
    await dropped.signature.wait();
    expect(dropped.signature.state).toBe('dropped');
    expect(lenient.spoolStats().dropped).toBe(1);
    expect(JSON.stringify(lines)).toContain(DECISION);
  });

  test('what is refused for good is dropped, logged and counted; it never reaches the agent', async () => {
    const problem = { status: 409, code: 'decision_mismatch', detail: 'another tool' };
    const plane = await signing(false, (response) => json(response, 409, problem));
    const spoolDir = directory();
    const sentinel = closing(options(plane.server, spoolDir));
    const { result, signature } = await sentinel.governed('search', () => 'fine').run({});
    expect(result).toBe('fine');
    await signature.wait();
    expect(signature.state).toBe('dropped');
    expect(sentinel.spoolStats()).toMatchObject({ entries: 0, dropped: 1 });
  });

  test('takes over the entries of other processes and other clients, what a crash left included', async () => {
    const [plane, spoolDir] = [await signing(true), directory()];
    const path = folder(plane.server, spoolDir);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const entry = (key: string) => JSON.stringify({ version: 1, key, request: { tool_name: key } });
    const name = (digit: string, more = '') => join(path, `${DAY}-${digit.repeat(32)}.json${more}`);
    await writeFile(name('a'), entry('waiting'));
    await writeFile(name('b', '.claimed'), entry('crashed'));
    await writeFile(name('c', '.claimed'), entry('being-sent'));
    await writeFile(name('d'), '{"version":2}');
    const old = new Date(Date.now() - 120_000);
    await utimes(name('b', '.claimed'), old, old);
    await writeFile(join(path, 'flush.lock'), '1');
    await utimes(join(path, 'flush.lock'), old, old);
    const sentinel = closing(options(plane.server, spoolDir));
    await sentinel.flush();
    const sent = plane.signed().map(({ body }) => JSON.parse(body).tool_name);
    expect(sent.sort()).toEqual(['crashed', 'waiting']);
    expect(await entries(path)).toEqual([
      `${DAY}-${'c'.repeat(32)}.json.claimed`,
      `${DAY}-${'d'.repeat(32)}.json.unreadable`,
    ]);
  });

  test('is not flushed while another process does', async () => {
    const [plane, spoolDir] = [await signing(true), directory()];
    const path = folder(plane.server, spoolDir);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const entry = join(path, `${DAY}-${'a'.repeat(32)}.json`);
    await writeFile(entry, JSON.stringify({ version: 1, key: 'k', request: {} }));
    await writeFile(join(path, 'flush.lock'), '1');
    await closing(options(plane.server, spoolDir)).flush();
    expect(plane.signed()).toHaveLength(0);
  });

  test('that is open to others is not used', async () => {
    const [plane, spoolDir] = [await signing(false), directory()];
    const path = folder(plane.server, spoolDir);
    await mkdir(path, { recursive: true });
    await chmod(path, 0o755);
    const sentinel = closing(options(plane.server, spoolDir));
    const { signature } = await sentinel.governed('search', () => 1).run({});
    await signature.wait();
    expect(signature.state).toBe('dropped');
  });

  test('several processes that flush at once send each entry once', async () => {
    const [plane, spoolDir] = [await signing(true), directory()];
    const path = folder(plane.server, spoolDir);
    await mkdir(path, { recursive: true, mode: 0o700 });
    const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
    for (const [index, key] of keys.entries()) {
      const name = `${DAY}-${index.toString(16).padStart(32, '0')}.json`;
      const document = { version: 1, key, request: { tool_name: key } };
      await writeFile(join(path, name), JSON.stringify(document));
    }
    await Promise.all([1, 2, 3, 4].map(() => flushed(plane.server.url, spoolDir)));
    const sent = plane.signed().map(({ body }) => JSON.parse(body).tool_name);
    expect(sent.sort()).toEqual([...keys].sort());
    expect(await entries(path)).toEqual([]);
  });
});

function flushed(url: string, spoolDir: string): Promise<void> {
  return ended(child({ url, spoolDir, calls: '0' }));
}

function child(env: Record<string, string>): ChildProcess {
  const script = new URL('process.mjs', import.meta.url).pathname;
  return fork(script, { env: { ...process.env, ...env } });
}

function ended(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`status ${code}`))));
  });
}

describe('a process', () => {
  test('that ends by itself has its outcomes signed first, and its stream of kills does not keep it', async () => {
    const plane = await signing(true);
    const began = performance.now();
    await ended(
      child({ url: plane.server.url, spoolDir: directory(), calls: '3', killStream: '1' }),
    );
    expect(plane.signed()).toHaveLength(3);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('that is ended at once leaves its outcomes in the spool', async () => {
    const [plane, spoolDir] = [await signing(true), directory()];
    await ended(child({ url: plane.server.url, spoolDir, calls: '3', exits: '1' }));
    expect(await entries(folder(plane.server, spoolDir))).toHaveLength(3);
    expect(plane.signed()).toHaveLength(0);
  });
});
