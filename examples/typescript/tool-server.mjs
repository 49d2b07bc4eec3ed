// A tool server that refuses every call without a valid, unused permit: the tool can be called only through Sentinel.
import { Sentinel } from '@sentinel-mcp/client';
import { permitRequired } from '@sentinel-mcp/express';
import express from 'express';

const TOOL = 'langsmith-docs-search';

const app = express();
app.post('/search', express.json(), permitRequired({ tool: TOOL }), (request, response) => {
  response.json({ found: `three pages about ${request.body.query}` });
});
const server = app.listen(0, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}/search`;
  const args = { query: 'kill switches' };

  // An agent that passes the permit on.
  const agent = new Sentinel({ passPermit: true });
  const ticket = await agent.decide({ tool: TOOL, purpose: 'documentation_lookup', arguments: args });
  const found = await ticket.run(TOOL, args, (signal) =>
    send(url, args, { 'sentinel-permit': ticket.permit }, signal),
  );
  console.log(found);

  // The same permit a second time, and no permit at all.
  console.log(await send(url, args, { 'sentinel-permit': ticket.permit }));
  console.log(await send(url, args, {}));

  await agent.close();
  server.closeAllConnections();
  server.close();
});

async function send(url, args, headers, signal) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(args),
    signal,
  });
  const { found, detail } = await response.json();
  return `${response.status}: ${found ?? detail}`;
}
