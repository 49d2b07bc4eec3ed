// How soon a kill reaches a running tool: from the kill's 200 to the abort that the tool sees. Exits with 1 when the p99
// of 200 kills is over the bound, or the next call is not refused without a request.
import { Sentinel } from '../packages/client/dist/index.js';
import { percentile, start, TENANT } from './server.mjs';

const BOUND_MS = 100;
const KILLS = Number(process.env.KILLS ?? 200);

const plane = await start(['wait']);
let checks = 0;
const counted = (input, init) => {
  if (String(input).endsWith('/policy/check')) checks += 1;
  return fetch(input, init);
};
const sentinel = new Sentinel({
  url: plane.url,
  apiKey: plane.keys.agent,
  tenant: TENANT,
  spoolDir: plane.spoolDir,
  fetch: counted,
});
await sentinel.ready();

const times = [];
let refused = 0;
const target = { tenant_slug: TENANT, tool_name: 'wait' };
for (let count = 0; count < KILLS; count += 1) {
  let aborted;
  let begun;
  const running = new Promise((resolve) => {
    begun = resolve;
  });
  const tool = sentinel.governed('wait', (_, { signal }) => {
    begun();
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted = performance.now();
        reject(signal.reason);
      });
    });
  });
  const ended = tool({}).catch((error) => error.code);
  await running;
  await plane.request('operator', '/kill', { ...target, reason: 'bench' });
  const answered = performance.now();
  if ((await ended) !== 'killed') throw new Error('the call was not cut');
  // It may be heard of before the answer is.
  times.push(Math.max(0, aborted - answered));
  const before = checks;
  const code = await sentinel.decide({ tool: 'wait' }).catch((error) => error.code);
  if (code === 'killed' && checks === before) refused += 1;
  const heard = sentinel.heard;
  await plane.request('operator', '/kill/restore', target);
  while (sentinel.heard === heard) await new Promise((resolve) => setTimeout(resolve, 1));
}
await sentinel.close();
await plane.stop();

const p99 = percentile(times, 0.99);
console.log(
  `${KILLS} kills: p50 ${percentile(times, 0.5).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ` +
    `worst ${Math.max(...times).toFixed(2)} ms; the next call refused without a request ${refused} times`,
);
process.exit(p99 <= BOUND_MS && refused === KILLS ? 0 : 1);
