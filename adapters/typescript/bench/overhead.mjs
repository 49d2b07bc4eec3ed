// What governing a call costs: p50 of a governed call that does nothing beside p50 of a bare `POST /policy/check`,
// from the same process, on kept connections, in turns. Exits with 1 when it is more than the bound.
import * as http from 'node:http';
import { Sentinel } from '../packages/client/dist/index.js';
import { percentile, start, TENANT } from './server.mjs';

const BOUND_MS = 0.3;
const ROUNDS = Number(process.env.ROUNDS ?? 12);
const CALLS = Number(process.env.CALLS ?? 800);
const ARGUMENTS = { query: 'how to stop an agent', limit: 10 };

const plane = await start(['noop']);
const options = {
  url: plane.url,
  apiKey: plane.keys.agent,
  tenant: TENANT,
  spoolDir: plane.spoolDir,
};

const headers = {
  authorization: `Bearer ${plane.keys.agent}`,
  'content-type': 'application/json',
};
const body = () =>
  JSON.stringify({ tenant_slug: TENANT, tool_name: 'noop', action: 'call', arguments: ARGUMENTS });

/** What a program would write. */
async function bare() {
  const response = await fetch(`${plane.url}/policy/check`, {
    method: 'POST',
    headers,
    body: body(),
  });
  const answer = await response.json();
  if (answer.allow !== true) throw new Error('denied');
}

const agent = new http.Agent({ keepAlive: true });
const { hostname, port } = new URL(plane.url);

/** What costs least, for comparison: no deadline, no bound, and nothing is checked. */
function barest() {
  return new Promise((resolve, reject) => {
    const path = '/policy/check';
    const request = http.request(
      { agent, hostname, port, path, method: 'POST', headers },
      (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () =>
          resolve(JSON.parse(Buffer.concat(parts).toString()).allow === true),
        );
      },
    );
    request.on('error', reject);
    request.end(body());
  });
}

/** Runs calls, some at the same time, and returns the time of each. */
async function timed(call, concurrent, count) {
  const times = [];
  const lane = async () => {
    while (times.length < count) {
      const began = performance.now();
      await call();
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: concurrent }, lane));
  return times;
}

let failed = false;
for (const sign of ['off', 'background']) {
  for (const concurrent of [1, 16, 64]) {
    const sentinel = new Sentinel({ ...options, sign });
    await sentinel.ready();
    const governed = sentinel.governed('noop', () => undefined);
    const call = () => governed(ARGUMENTS);
    await timed(bare, concurrent, 1000);
    await timed(barest, concurrent, 1000);
    await timed(call, concurrent, 1000);
    const [without, with_, least] = [[], [], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const each = [
        async () => without.push(...(await timed(bare, concurrent, CALLS))),
        async () => with_.push(...(await timed(call, concurrent, CALLS))),
        async () => least.push(...(await timed(barest, concurrent, CALLS))),
      ];
      if (round % 2) each.reverse();
      for (const one of each) await one();
    }
    await sentinel.close();
    const [low, high] = [percentile(without, 0.5), percentile(with_, 0.5)];
    const over = high - low > BOUND_MS;
    failed ||= over;
    console.log(
      `signing ${sign.padEnd(10)} ${String(concurrent).padStart(2)} at once: ` +
        `bare ${low.toFixed(3)} ms, governed ${high.toFixed(3)} ms, ` +
        `difference ${(high - low).toFixed(3)} ms${over ? ' (over the bound)' : ''}; ` +
        `bare by node:http ${percentile(least, 0.5).toFixed(3)} ms`,
    );
  }
}
await plane.stop();
process.exit(failed ? 1 : 0);
