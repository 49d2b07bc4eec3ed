// Vercel's AI SDK, with its MockLanguageModelV4: see plan.py, which has the same arguments and output.
import { createMCPClient } from '@ai-sdk/mcp';
import { Experimental_StdioMCPTransport as StdioTransport } from '@ai-sdk/mcp/mcp-stdio';
import { generateText, isStepCount } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';

const FINAL = 'all calls were made';
const { servers, calls } = JSON.parse(process.argv[2]);
const record = { tools: [], read: [], faults: [], final: '' };
let made = 0;

function transport({ url, headers, command, env }) {
  if (url) return { type: 'http', url, headers };
  return new StdioTransport({ command: command[0], args: command.slice(1), env });
}

function turn({ prompt, tools = [] }) {
  const results = prompt.filter(({ role }) => role === 'tool').flatMap(({ content }) => content);
  record.tools = tools.map(({ name }) => name).sort();
  record.read = results.map(({ output }) => JSON.stringify(output.value));
  if (results.length !== made) record.faults.push(`${results.length} results after ${made} calls`);
  const call = calls[made];
  if (!call) return answer('stop', { type: 'text', text: FINAL });
  made += 1;
  const input = JSON.stringify(call.arguments);
  const toolCallId = `call_${made}`;
  return answer('tool-calls', { type: 'tool-call', toolCallId, toolName: call.name, input });
}

function answer(unified, content) {
  const usage = { inputTokens: {}, outputTokens: {} };
  return { content: [content], finishReason: { unified }, usage, warnings: [] };
}

const model = new MockLanguageModelV4({ doGenerate: async (options) => turn(options) });
const clients = [];
for (const server of servers) clients.push(await createMCPClient({ transport: transport(server) }));
const tools = Object.assign({}, ...(await Promise.all(clients.map((client) => client.tools()))));
const stopWhen = isStepCount(calls.length + 1);
const { text } = await generateText({ model, tools, prompt: 'make the calls', stopWhen });
await Promise.all(clients.map((client) => client.close()));
record.final = text;
if (made !== calls.length) record.faults.push(`ended after ${made} of ${calls.length} calls`);
if (text !== FINAL) record.faults.push(`the answer is ${text}`);
console.log(JSON.stringify(record));
