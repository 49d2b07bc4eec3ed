// One session of the TypeScript SDK: lists the tools, makes the calls one after the other, and
// prints what the program would see.
//
// node session.mjs legacy|auto TARGET CALLS
//   TARGET  a URL, or a command as a JSON array
//   CALLS   a JSON array of {name, arguments}
// The variable MCP_HEADERS has the headers for a URL, as JSON.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [mode, target, calls] = process.argv.slice(2);

const headers = JSON.parse(process.env.MCP_HEADERS ?? '{}');

function transport() {
  if (!target.startsWith('[')) {
    return new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers } });
  }
  const [command, ...args] = JSON.parse(target);
  return new StdioClientTransport({ command, args, env: process.env });
}

const client = new Client(
  { name: 'sentinel-test', version: '1.0.0' },
  { versionNegotiation: { mode } },
);
await client.connect(transport());
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const results = [];
for (const call of JSON.parse(calls)) {
  try {
    const { content, isError = false, _meta = {} } = await client.callTool(call);
    results.push({ isError, text: content.map((block) => block.text).join(''), meta: _meta });
  } catch (error) {
    results.push({ raised: String(error) });
  }
}
await client.close();
console.log(JSON.stringify({ tools, results }));
