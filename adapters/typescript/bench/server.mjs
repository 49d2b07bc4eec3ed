// Starts a Sentinel for a benchmark: everything is allowed, and the data is thrown away.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const TENANT = 'bench';
const RELEASE = new URL('../../../target/release/sentinel', import.meta.url).pathname;
const BINARY = process.env.SENTINEL_BINARY ?? RELEASE;
const POLICY = 'package sentinel.policy\n\ndefault decision := {"allow": true}\n';

export async function start(tools) {
  const folder = await mkdtemp(join(tmpdir(), 'sentinel-bench-'));
  const [data, policies] = [join(folder, 'data'), join(folder, 'policies')];
  await mkdir(policies);
  await writeFile(join(policies, 'policy.rego'), POLICY);
  const options = ['dev', '--listen', '127.0.0.1:0', '--data-dir', data, '--policies', policies];
  const server = spawn(BINARY, [...options, '--log', 'json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let url;
  for await (const line of createInterface({ input: server.stdout })) {
    const event = JSON.parse(line);
    if (event.event === 'server.ready') {
      url = event.url;
      break;
    }
  }
  server.stdout.resume();
  const keys = JSON.parse(await readFile(join(data, 'keys.json'), 'utf8'));
  const request = async (role, path, body) => {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys[role]}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  for (const name of tools) {
    const tool = { tenant_slug: TENANT, name, url: 'https://tool.example', owner: 'bench' };
    await request('admin', '/register', { ...tool, scopes: [], metadata: {} });
  }
  const stop = async () => {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return { url, keys, request, spoolDir: join(folder, 'spool'), stop };
}

export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
