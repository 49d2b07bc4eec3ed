import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Started, start } from './kit/plane.js';

const run = promisify(execFile);
const ROOT = new URL('..', import.meta.url).pathname;
const EXAMPLES = new URL('../../../examples/typescript', import.meta.url).pathname;
const SHIPPED = new URL('../../../policies/shipped', import.meta.url).pathname;
const PACKAGES = ['client', 'ai', 'claude-agent', 'express'];
/** What the packages are used with, as it is installed here. */
const PEERS = ['ai', 'zod', 'express', '@anthropic-ai/claude-agent-sdk'];

let plane: Started;
let project: string;

/** An empty project into which the packed packages are installed. */
beforeAll(async () => {
  plane = await start(SHIPPED, []);
  project = await mkdtemp(join(tmpdir(), 'sentinel-packages-'));
  const packs = join(project, 'packs');
  await mkdir(packs);
  for (const name of PACKAGES) {
    await run('npm', ['pack', '--pack-destination', packs, join(ROOT, 'packages', name)]);
  }
  const dependencies: Record<string, string> = {};
  for (const pack of await readdir(packs)) {
    const name = pack.replace(/^sentinel-mcp-(.*)-\d+\.\d+\.\d+\.tgz$/, '@sentinel-mcp/$1');
    dependencies[name] = `file:packs/${pack}`;
  }
  for (const peer of PEERS) dependencies[peer] = `file:${join(ROOT, 'node_modules', peer)}`;
  const manifest = { name: 'empty', private: true, type: 'module', dependencies };
  await writeFile(join(project, 'package.json'), JSON.stringify(manifest));
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund'], { cwd: project });
  await cp(EXAMPLES, project, {
    recursive: true,
    filter: (path) => !path.endsWith('package.json'),
  });
}, 240_000);

afterAll(async () => {
  await plane.stop();
  await rm(project, { recursive: true, force: true });
});

async function node(file: string): Promise<string> {
  const env = {
    ...process.env,
    SENTINEL_URL: plane.url,
    SENTINEL_API_KEY: plane.keys.agent,
    SENTINEL_TENANT: 'platform-eng',
    SENTINEL_SPOOL_DIR: join(project, 'spool'),
  };
  return (await run(process.execPath, [file], { cwd: project, env, timeout: 60_000 })).stdout;
}

test.each([
  ['client', /^three pages about kill switches\nDenied by policy: .*policy_denied/],
  ['ai', /^three pages about kill switches\n$/],
  ['claude-agent', /^PreToolUse PreSkillShellCommand PostToolUse PostToolUseFailure\n$/],
  ['express', /^403 no_permit\n$/],
])('the example in the README of %s runs', async (name, expected) => {
  const readme = await readFile(
    join(project, 'node_modules/@sentinel-mcp', name, 'README.md'),
    'utf8',
  );
  const [, program] = /```js\n(.*?)```/s.exec(readme) ?? [];
  await writeFile(join(project, `readme-${name}.mjs`), program ?? '');
  expect(await node(`readme-${name}.mjs`)).toMatch(expected);
});

test.each([
  ['client.mjs', [/^three pages/m, /signed as manifest [0-9a-f-]{36}/, /^Denied by policy/m]],
  ['vercel-ai.mjs', [/search: three pages/, /writer: Denied/, /^A kill does\.$/m]],
  ['claude-agent.mjs', [/search ran for kill switches/, /Denied/, /^A kill does\.$/m]],
  ['tool-server.mjs', [/^200: three pages/, /^403: .*used/m, /^403: .*no permit/m]],
])('the example %s runs', async (file, expected) => {
  const output = await node(file);
  for (const part of expected) expect(output).toMatch(part);
});

test('a package has what it needs, and nothing else', async () => {
  for (const name of PACKAGES) {
    const folder = join(project, 'node_modules/@sentinel-mcp', name);
    expect((await readdir(folder)).sort()).toEqual([
      'LICENSE',
      'README.md',
      'dist',
      'package.json',
    ]);
    const kinds = new Set((await readdir(join(folder, 'dist'), { recursive: true })).map(kind));
    expect([...kinds].filter((each) => !['js', 'd.ts', 'json', 'folder'].includes(each))).toEqual(
      [],
    );
  }
});

function kind(path: string): string {
  return /\.(d\.ts|[a-z]+)$/.exec(path)?.[1] ?? 'folder';
}
