import { PolicyDenied } from '@sentinel-mcp/client';
import { describe, expect, test } from 'vitest';
import { ALLOW, fake, json, type Received } from '../kit/fake.js';
import { Plane, start, TENANT } from '../kit/plane.js';
import { client, closing, plane, unique } from '../kit/sentinel.js';

async function tool(more = {}): Promise<string> {
  const name = unique('killed');
  await plane().register(name, more);
  return name;
}

/** A fetch that counts the checks. */
function counting(): { fetch: typeof fetch; checks(): number } {
  let count = 0;
  return {
    fetch: (input, init) => {
      if (String(input).endsWith('/policy/check')) count += 1;
      return fetch(input, init);
    },
    checks: () => count,
  };
}

/** A call that runs until it is aborted. */
function endless(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error('it does not come about');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('a kill', () => {
  test('stops the next call before any request, until it is restored', async () => {
    const name = await tool();
    const { fetch, checks } = counting();
    const sentinel = client({ fetch });
    await sentinel.ready();
    await plane().killTool(name);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const denied = await sentinel.decide({ tool: name }).catch((error: unknown) => error);
    expect(denied).toMatchObject({ code: 'killed', reason: 'killed (tool): incident 4711' });
    expect((denied as PolicyDenied).modelMessage).toMatch(/^Stopped by an operator: /);
    expect(checks()).toBe(0);
    await sentinel.decide({ tool: 'search' });
    expect(checks()).toBe(1);

    await plane().restore({ tenant_slug: TENANT, tool_name: name });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await sentinel.decide({ tool: name });
    expect(checks()).toBe(2);
  });

  test('cuts the running call, which is signed as cancelled', async () => {
    const name = await tool();
    const sentinel = client();
    await sentinel.ready();
    let heard: unknown;
    const ticket = await sentinel.decide({ tool: name });
    const running = ticket.run(name, {}, (signal) => {
      signal.addEventListener('abort', () => {
        heard = signal.reason;
      });
      return endless(signal);
    });
    await plane().killTool(name);
    await expect(running).rejects.toMatchObject({ code: 'killed', decisionId: ticket.decisionId });
    expect(heard).toBeInstanceOf(PolicyDenied);
    const signature = ticket.finish('succeeded');
    expect(await signature.wait()).toBeDefined();
  });

  test('withholds the result of a call that does not listen', async () => {
    const name = await tool();
    const sentinel = client();
    await sentinel.ready();
    const slow = sentinel.governed(name, async () => {
      await plane().killTool(name);
      await new Promise((resolve) => setTimeout(resolve, 300));
      return 'secret';
    });
    await expect(slow({})).rejects.toMatchObject({ code: 'killed' });
  });

  test('between the decision and the call stops the call', async () => {
    const name = await tool();
    const sentinel = client();
    await sentinel.ready();
    const ticket = await sentinel.decide({ tool: name });
    await plane().killTool(name);
    await until(() => ticket.stopped !== undefined);
    expect(() => ticket.verify(name, {})).toThrow(PolicyDenied);
  });

  test('of a tag is asked about: what it covers is cut, and the rest goes on', async () => {
    const tag = unique('tag');
    const [tagged, plain] = [await tool({ metadata: { tags: [tag] } }), await tool()];
    const sentinel = client();
    await sentinel.ready();
    const [first, second] = [
      await sentinel.decide({ tool: tagged, arguments: { a: 1 } }),
      await sentinel.decide({ tool: plain, arguments: { a: 1 } }),
    ];
    const running = first.run(tagged, { a: 1 }, endless);
    const other = second.run(plain, { a: 1 }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      return 'done';
    });
    await plane().kill({ tool_tag: tag });
    await expect(running).rejects.toMatchObject({ code: 'killed' });
    await expect(other).resolves.toBe('done');
  });

  test('of an agent covers it in any letter case, and no other agent', async () => {
    const [name, agent] = [await tool(), unique('Agent')];
    const { fetch, checks } = counting();
    const sentinel = client({ agent, fetch });
    await sentinel.ready();
    const ticket = await sentinel.decide({ tool: name });
    const other = await sentinel.decide({ tool: name, agent: 'another' });
    await plane().kill({ agent: agent.toUpperCase() });
    await until(() => ticket.stopped !== undefined);
    expect(other.stopped).toBeUndefined();
    await expect(sentinel.decide({ tool: name })).rejects.toMatchObject({ code: 'killed' });
    expect(checks()).toBe(2);
  });

  test('of everything covers everything', async () => {
    const own = await start();
    try {
      const sentinel = closing({ url: own.url, apiKey: own.keys.agent });
      await sentinel.ready();
      const ticket = await sentinel.decide({ tool: 'search' });
      await new Plane(own).kill({ scope: 'global' });
      await until(() => ticket.stopped !== undefined);
      await expect(sentinel.decide({ tool: 'search' })).rejects.toMatchObject({ code: 'killed' });
    } finally {
      await own.stop();
    }
  });
});

describe('the stream of kills', () => {
  const kill = { scope: 'tool', tenant: TENANT, tool: 'search', agent: null, label: null };
  const sync = (kills: unknown[]) =>
    `id: 1-1\nevent: sync\ndata: ${JSON.stringify({ event: 'sync', epoch: 7, gap: false, kills })}\n\n`;
  const disabled = (epoch: number) =>
    `id: 1-${epoch}\nevent: kill_switch.disabled\ndata: ${JSON.stringify({
      event: 'kill_switch.disabled',
      tenant: TENANT,
      tool: 'search',
      reason: 'incident',
      metadata: { kill_id: 'k1', scope: 'tool', agent: null, epoch },
    })}\n\n`;
  const isStream = ({ path }: Received) => path.startsWith('/v1/events');

  test('is opened again where it broke off, and while it is away every call is asked about', async () => {
    let streams = 0;
    const server = await fake((request, response) => {
      if (!isStream(request)) return json(response, 200, ALLOW);
      streams += 1;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      // The kill ends with the first stream: the state of the second does not have it.
      response.write(sync([]));
      if (streams === 1)
        response.write(disabled(8), () => setTimeout(() => response.destroy(), 100));
      return undefined;
    });
    const sentinel = closing({ url: server.url, apiKey: 'key' });
    await sentinel.ready();
    await until(() => !sentinel.listening);
    // Not connected: local state neither allows nor denies.
    await sentinel.decide({ tool: 'search' });
    expect(server.to('/policy/check')).toHaveLength(1);
    await until(() => streams === 2 && sentinel.listening);
    const [first, second] = server.received.filter(isStream);
    expect(first?.headers['last-event-id']).toBeUndefined();
    expect(second?.headers['last-event-id']).toBe('1-8');
    await sentinel.decide({ tool: 'search' });
  });

  test('what is in the state of `sync` already is not heard twice', async () => {
    const server = await fake((request, response) => {
      if (!isStream(request)) return json(response, 200, ALLOW);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(sync([]) + disabled(7));
      return undefined;
    });
    const sentinel = closing({ url: server.url, apiKey: 'key' });
    await sentinel.ready();
    await sentinel.decide({ tool: 'search' });
  });

  test('a kill that is in force when the stream opens stops the call without a request', async () => {
    const server = await fake((request, response) => {
      if (!isStream(request)) return json(response, 200, ALLOW);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(sync([{ ...kill, kill_id: 'k0', in_force: true, reason: 'old' }]));
      return undefined;
    });
    const sentinel = closing({ url: server.url, apiKey: 'key' });
    await sentinel.ready();
    await expect(sentinel.decide({ tool: 'search' })).rejects.toMatchObject({ code: 'killed' });
    expect(server.to('/policy/check')).toHaveLength(0);
  });

  test('local state never allows', async () => {
    const server = await fake((request, response) => {
      if (!isStream(request)) return json(response, 500, {});
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(sync([]));
      return undefined;
    });
    const sentinel = closing({ url: server.url, apiKey: 'key' });
    await sentinel.ready();
    await expect(sentinel.decide({ tool: 'search' })).rejects.toMatchObject({
      code: 'server_error',
    });
  });

  test('garbage in the stream breaks it off, and nothing else', async () => {
    const server = await fake((request, response) => {
      if (!isStream(request)) return json(response, 200, ALLOW);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('event: sync\ndata: {"epo\n\n');
      return undefined;
    });
    const sentinel = closing({ url: server.url, apiKey: 'key' });
    await sentinel.decide({ tool: 'search' });
    await until(() => server.received.filter(isStream).length >= 2);
    expect(sentinel.listening).toBe(false);
  });
});
