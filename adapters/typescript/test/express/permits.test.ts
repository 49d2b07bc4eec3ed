import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { permitRequired, permitted } from '@sentinel-mcp/express';
import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fake, json, nowhere } from '../kit/fake.js';
import { client, closing, plane, unique } from '../kit/sentinel.js';

/** Serves, and returns the address. */
async function serving(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface ToolServer {
  url: string;
  ran: unknown[];
}

async function withExpress(tool: string, sentinel = client()): Promise<ToolServer> {
  const ran: unknown[] = [];
  const app = express();
  app.post('/', express.json(), permitRequired({ tool, client: sentinel }), (request, response) => {
    ran.push(request.body);
    response.json({
      decision: (request as { sentinel?: { decisionId: string } }).sentinel?.decisionId,
    });
  });
  app.post('/unread', permitRequired({ tool, client: sentinel }), (_, response) => {
    ran.push('unread');
    response.json({});
  });
  return { url: await serving(createServer(app)), ran };
}

async function withHttp(tool: string, sentinel = client()): Promise<ToolServer> {
  const ran: unknown[] = [];
  const listener = permitted({ tool, client: sentinel }, (args, request, response) => {
    ran.push(args);
    response.end(JSON.stringify({ decision: request.sentinel.decisionId }));
  });
  return {
    url: await serving(createServer((request, response) => void listener(request, response))),
    ran,
  };
}

interface Sent {
  status: number;
  body: Record<string, unknown>;
}

async function send(url: string, body: unknown, permit?: string): Promise<Sent> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(permit === undefined ? {} : { 'sentinel-permit': permit }),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function registered(): Promise<string> {
  const tool = unique('served');
  await plane().register(tool);
  return tool;
}

/** A permit for a call, as an agent gets it that passes permits on. */
async function permit(tool: string, args: Record<string, unknown>) {
  const ticket = await client({ passPermit: true }).decide({ tool, arguments: args });
  return { permit: String(ticket.permit), decision: ticket.decisionId };
}

describe.each([
  ['Express', withExpress],
  ['node:http', withHttp],
])('a tool server with %s', (_, serve) => {
  test('makes a call with a permit, once, and knows the decision', async () => {
    const tool = await registered();
    const { url, ran } = await serve(tool);
    const args = { query: 'é', nested: { b: 1, a: [1.5, 1e21] } };
    const given = await permit(tool, args);
    expect(await send(url, args, given.permit)).toEqual({
      status: 200,
      body: { decision: given.decision },
    });
    const again = await send(url, args, given.permit);
    expect(again).toMatchObject({ status: 403, body: { code: 'permit_used' } });
    expect(ran).toEqual([args]);
  });

  test('refuses a call without a permit, with one of another call, another tool, or none of ours', async () => {
    const [tool, other] = [await registered(), await registered()];
    const { url, ran } = await serve(tool);
    expect(await send(url, {})).toMatchObject({ status: 403, body: { code: 'no_permit' } });
    const invalid = { status: 403, body: { code: 'permit_invalid' } };
    expect(await send(url, {}, 'snp_forged')).toMatchObject(invalid);
    const mine = await permit(tool, { a: 1 });
    expect(await send(url, { a: 2 }, mine.permit)).toMatchObject(invalid);
    expect(await send(url, { a: 1 }, (await permit(other, { a: 1 })).permit)).toMatchObject(
      invalid,
    );
    expect(ran).toEqual([]);
    // What was refused is not used up.
    expect(await send(url, { a: 1 }, mine.permit)).toMatchObject({ status: 200 });
  });

  test('refuses a call that was killed after it was allowed', async () => {
    const tool = await registered();
    const { url, ran } = await serve(tool);
    const given = await permit(tool, {});
    await plane().killTool(tool);
    expect(await send(url, {}, given.permit)).toMatchObject({
      status: 403,
      body: { code: 'killed' },
    });
    expect(ran).toEqual([]);
  });

  test('refuses a call when the control plane is away', async () => {
    const sentinel = closing({ url: await nowhere(), apiKey: 'key', killStream: false });
    const { url, ran } = await serve('search', sentinel);
    const answer = await send(url, {}, 'snp_x');
    expect(answer).toMatchObject({ status: 503, body: { code: 'control_plane_unavailable' } });
    expect(ran).toEqual([]);
  });

  test('refuses a body that is not an object, and a query', async () => {
    const tool = await registered();
    const { url, ran } = await serve(tool);
    const given = await permit(tool, {});
    const invalid = { status: 400, body: { code: 'invalid_call' } };
    expect(await send(url, [1], given.permit)).toMatchObject(invalid);
    expect(await send(`${url}?forbidden=true`, {}, given.permit)).toMatchObject(invalid);
    expect(ran).toEqual([]);
  });
});

test('a permit is not handed on unless the setting says so', async () => {
  expect((await client().decide({ tool: 'search' })).permit).toBeUndefined();
});

test('Express: a body that was not read is not taken for no arguments', async () => {
  const tool = await registered();
  const { url, ran } = await withExpress(tool);
  const given = await permit(tool, {});
  expect(await send(`${url}/unread`, { a: 1 }, given.permit)).toMatchObject({
    status: 400,
    body: { code: 'invalid_call' },
  });
  expect(ran).toEqual([]);
});

test('node:http: a key that occurs twice is refused, and a body that is too long', async () => {
  const tool = await registered();
  const { url, ran } = await withHttp(tool);
  const given = await permit(tool, { a: 1 });
  expect(await send(url, '{"a":2,"a":1}', given.permit)).toMatchObject({ status: 400 });
  expect(await send(url, { a: 'x'.repeat(2 ** 20) }, given.permit)).toMatchObject({ status: 413 });
  expect(ran).toEqual([]);
});

describe('a server of MCP', () => {
  async function withMcp(prefix: string): Promise<ToolServer> {
    const ran: unknown[] = [];
    const app = express();
    app.post(
      '/',
      express.json(),
      permitRequired({ mcp: { prefix }, client: client() }),
      (request, response) => {
        ran.push(request.body);
        response.json({});
      },
    );
    return { url: await serving(createServer(app)), ran };
  }
  const call = (name: string, args: object) => ({
    jsonrpc: '2.0',
    id: 7,
    method: 'tools/call',
    params: { name, arguments: args },
  });

  test('needs a permit for calls, under the registered name, and for nothing else', async () => {
    const prefix = unique('files');
    await plane().register(`${prefix}__read`);
    const { url, ran } = await withMcp(`${prefix}__`);
    const given = await permit(`${prefix}__read`, { path: 'a' });
    const refused = await send(url, call('read', { path: 'b' }), given.permit);
    expect(refused.status).toBe(200);
    expect(refused.body).toMatchObject({ id: 7, result: { isError: true } });
    expect(JSON.stringify(refused.body)).toContain('Do not retry. (code permit_invalid)');
    await send(url, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
    await send(url, call('read', { path: 'a' }), given.permit);
    expect(ran).toMatchObject([{ method: 'tools/list' }, { method: 'tools/call' }]);
  });

  test('takes the permit from the message, too, and never two', async () => {
    const [tool, args] = [await registered(), { a: 1 }];
    const { url, ran } = await withMcp('');
    const given = await permit(tool, args);
    const message = call(tool, args);
    const _meta = { 'sentinel/permit': given.permit };
    const carrying = { ...message, params: { ...message.params, _meta } };
    expect((await send(url, carrying, given.permit)).body['result']).toMatchObject({
      isError: true,
    });
    expect(ran).toEqual([]);
    await send(url, carrying);
    expect(ran).toHaveLength(1);
  });

  test('refuses batches and messages that are not calls it can read', async () => {
    const { url, ran } = await withMcp('');
    for (const body of [
      [call('read', {})],
      { method: 7 },
      { method: 'tools/call' },
      call(7 as never, {}),
    ]) {
      expect(await send(url, body)).toMatchObject({ status: 400, body: { code: 'invalid_call' } });
    }
    expect(ran).toEqual([]);
  });
});

describe('a refusal', () => {
  test('is on record as a call that came without Sentinel', async () => {
    const tool = await registered();
    const { url } = await withExpress(tool);
    await send(url, {});
    await expect.poll(async () => (await plane().decisions(tool))[0]?.code).toBe('no_permit');
  });

  test('that cannot be reported does no harm: an older control plane does not know reports', async () => {
    const server = await fake((request, response) => {
      if (request.path === '/v1/tools/uncovered') return json(response, 404, {});
      return json(response, 403, { status: 403, code: 'permit_invalid', detail: 'forged' });
    });
    const sentinel = closing({ url: server.url, apiKey: 'key', killStream: false });
    const app = express();
    const toolId = '01a224f8-b15f-7640-8f5a-a43b2fb15b49';
    app.post('/', permitRequired({ tool: 'search', toolId, client: sentinel }), (_, response) =>
      response.json({}),
    );
    const url = await serving(createServer(app));
    const answer = await fetch(url, { method: 'POST', headers: { 'sentinel-permit': 'forged' } });
    expect(answer.status).toBe(403);
    await expect.poll(() => server.to('/v1/tools/uncovered').length).toBe(1);
    expect(JSON.parse(server.to('/v1/tools/uncovered')[0]?.body ?? '')).toEqual({
      tenant_slug: 'adapters',
      tool_name: 'search',
      action: 'call',
      reason: 'permit_invalid',
    });
  });
});
