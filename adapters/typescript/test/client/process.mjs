// A process with a client of its own, for spool.test.ts. It never closes the client.
import { Sentinel } from '../../packages/client/dist/index.js';

const { url, spoolDir, calls, killStream, exits } = process.env;
const sentinel = new Sentinel({
  url,
  spoolDir,
  apiKey: 'key',
  tenant: 'adapters',
  killStream: killStream === '1',
});
const search = sentinel.governed('search', () => 'found');
for (let call = 0; call < Number(calls); call += 1) await search({ call });
if (calls === '0') await sentinel.flush();
if (exits) process.exit(0);
