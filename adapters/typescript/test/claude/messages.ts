/** A stand-in for the Messages API with a scripted model, for the real Claude Code. */
import { randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface ToolUse {
  id: string;
  name: string;
  input: unknown;
}

/** What the model does: the calls of each turn; then it is done. A subagent's begins with `SUBAGENT`. */
export interface Script {
  main: ToolUse[][];
  sub?: ToolUse[][];
}

export interface Api {
  url: string;
  /** What the model read of each call, by its id. */
  read: Record<string, string>;
  requests: number;
}

type Json = Record<string, unknown>;

interface Message {
  role: string;
  content: string | Json[];
}

interface Request extends Json {
  messages: Message[];
  tools?: { name: string }[];
  model: string;
  stream?: boolean;
}

const SEARCH = 'ToolSearch';
const PREFIX = 'toolu_for_';
const USAGE = { input_tokens: 1, output_tokens: 1 };

export async function messagesApi(script: Script): Promise<Api> {
  const api: Api = { url: '', read: {}, requests: 0 };
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const path = request.url?.split('?')[0];
    if (request.method === 'HEAD') return json(response, {});
    if (path === '/v1/messages/count_tokens') return json(response, { input_tokens: 1 });
    if (path !== '/v1/messages') return response.writeHead(404).end();
    api.requests += 1;
    const body = JSON.parse(Buffer.concat(parts).toString()) as Request;
    const answer = message(body, content(body, script, api));
    return body.stream ? stream(response, answer) : json(response, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return api;
}

/** What the model answers. A request without tools, as for a title, is not a turn. */
function content(request: Request, script: Script, api: Api): Json[] {
  if (!request.tools?.length) return [{ type: 'text', text: 'title' }];
  const blocks = request.messages.flatMap(({ content }) =>
    typeof content === 'string' ? [] : content,
  );
  Object.assign(api.read, results(blocks));
  const first = JSON.stringify(request.messages.filter(({ role }) => role === 'user')[0]);
  const turns = first.includes('SUBAGENT') ? (script.sub ?? []) : script.main;
  const made = request.messages.filter(
    ({ role, content }) => role === 'assistant' && isTurn(content),
  );
  const uses = turns[made.length] ?? [];
  return search(request, uses) ?? (uses.length ? uses.map(use) : [{ type: 'text', text: 'done' }]);
}

function isTurn(content: Message['content']): boolean {
  return typeof content !== 'string' && content.some(({ id }) => String(id).startsWith(PREFIX));
}

function use({ id, name, input }: ToolUse): Json {
  return { type: 'tool_use', id: `${PREFIX}${id}`, name, input };
}

/** Claude Code shows names of MCP tools, and the model loads those that it wants to call. */
function search(request: Request, uses: ToolUse[]): Json[] | undefined {
  const loaded = new Set(request.tools?.map(({ name }) => name));
  const wanted = uses.map(({ name }) => name).filter((name) => !loaded.has(name));
  const asked = JSON.stringify(request.messages).includes('toolu_search');
  if (wanted.length === 0 || asked || !loaded.has(SEARCH)) return undefined;
  const query = `select:${[...new Set(wanted)].join(',')}`;
  const input = { query, max_results: wanted.length };
  return [{ type: 'tool_use', id: `toolu_search_${randomUUID()}`, name: SEARCH, input }];
}

function results(blocks: Json[]): Record<string, string> {
  return Object.fromEntries(
    blocks
      .filter(
        ({ type, tool_use_id }) => type === 'tool_result' && String(tool_use_id).startsWith(PREFIX),
      )
      .map(({ tool_use_id, content }) => [String(tool_use_id).slice(PREFIX.length), text(content)]),
  );
}

function text(content: unknown): string {
  if (typeof content === 'string') return content;
  return (content as { text?: string }[]).map((block) => block.text ?? '').join('');
}

function message(request: Request, content: Json[]): Json {
  const calls = content.some(({ type }) => type === 'tool_use');
  return {
    id: `msg_${randomUUID()}`,
    type: 'message',
    role: 'assistant',
    model: request.model,
    content,
    stop_reason: calls ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: USAGE,
  };
}

function json(response: ServerResponse, body: Json): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function stream(response: ServerResponse, answer: Json): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (type: string, more: Json) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  send('message_start', { message: { ...answer, content: [], stop_reason: null } });
  for (const [index, block] of (answer['content'] as Json[]).entries()) {
    const isText = block['type'] === 'text';
    const start = isText ? { type: 'text', text: '' } : { ...block, input: {} };
    const delta = isText
      ? { type: 'text_delta', text: block['text'] }
      : { type: 'input_json_delta', partial_json: JSON.stringify(block['input']) };
    send('content_block_start', { index, content_block: start });
    send('content_block_delta', { index, delta });
    send('content_block_stop', { index });
  }
  const delta = { stop_reason: answer['stop_reason'], stop_sequence: null };
  send('message_delta', { delta, usage: USAGE });
  send('message_stop', {});
  response.end();
}
