// An MCP server for the tests, over standard input and output. Its tools are those of the file that
// it is given, read at every listing: a test changes the file, and the definitions have drifted.
//
// Usage: node mcp-server.mjs tools.json

import { readFileSync, watchFile } from "node:fs";
import { createInterface } from "node:readline";

const file = process.argv[2];
const send = (message) =>
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

const METHODS = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "console-test", version: "1" },
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools: JSON.parse(readFileSync(file, "utf8")) }),
  "tools/call": () => ({ content: [{ type: "text", text: "done" }] }),
};

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const handler = METHODS[method];
  if (handler) send({ id, result: handler(params ?? {}) });
  else send({ id, error: { code: -32601, message: `no method ${method}` } });
});

watchFile(file, { interval: 100 }, () => send({ method: "notifications/tools/list_changed" }));
