import { ControlPlaneUnavailable, PolicyDenied } from '@sentinel-mcp/client';
import { describe, expect, test } from 'vitest';
import { ALLOW, checks, DECISION, fake, json, nowhere } from '../kit/fake.js';
import { client, closing, plane, unique } from '../kit/sentinel.js';

/** The error of a call that must not be allowed. */
async function refused(promise: Promise<unknown>): Promise<PolicyDenied | ControlPlaneUnavailable> {
  const error = await promise.then(
    () => new Error('it was allowed'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof PolicyDenied || error instanceof ControlPlaneUnavailable) return error;
  throw error;
}

describe('with a real control plane', () => {
  test('an allowed call runs and is signed', async () => {
    const sentinel = client();
    const search = sentinel.governed('search', ({ query }: { query: string }) => `found ${query}`);
    const { result, signature, decisionId } = await search.run({ query: 'kills' });
    expect(result).toBe('found kills');
    const manifestId = await signature.wait();
    expect(signature.state).toBe('signed');
    const verified = await plane().verify(String(manifestId));
    expect(verified['verified']).toBe(true);
    expect(JSON.stringify(verified)).toContain(decisionId);
  });

  test('a denied call does not run, and says why to the model', async () => {
    const sentinel = client();
    let ran = false;
    const write = sentinel.governed('denied-tool', () => {
      ran = true;
    });
    const error = await refused(write({}));
    expect(ran).toBe(false);
    expect(error).toBeInstanceOf(PolicyDenied);
    expect(error).toMatchObject({ code: 'policy_denied', reason: 'writes need an approval' });
    expect(error.modelMessage).toMatch(
      /^Denied by policy: writes need an approval\. Repeating this call will not help: do not retry it\. /,
    );
    expect(error.modelMessage).toContain(`decision ${error.decisionId}`);
  });

  test('an alert is an obligation that is known', async () => {
    const ticket = await client().decide({ tool: 'alert-tool' });
    expect(ticket.decision.obligations).toEqual([{ type: 'alert', code: 'watched' }]);
  });

  test('the quota is exact under parallel calls, and those that are allowed keep their results', async () => {
    const tool = unique('quota');
    await plane().register(tool);
    const run = client().governed(tool, ({ number }: { number: number }) => number);
    const ended = await Promise.allSettled([1, 2, 3, 4].map((number) => run({ number })));
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    for (const one of ended) {
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'quota_exceeded' });
    }
  });

  test('a tool that is not registered is denied with the decision that says so', async () => {
    const error = await refused(client().decide({ tool: unique('unknown') }));
    expect(error).toMatchObject({ name: 'PolicyDenied', code: 'unknown_tool' });
    expect(error.decisionId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a key that is not accepted decides nothing', async () => {
    const error = await refused(client({ apiKey: 'snt_agent_wrong' }).decide({ tool: 'search' }));
    expect(error).toMatchObject({ name: 'ControlPlaneUnavailable', code: 'key_refused' });
    expect(error.modelMessage).toContain('The tool was not run.');
    expect(error.modelMessage).not.toMatch(/not found|unauthorized|authentication/i);
  });

  test('one call id is one decision', async () => {
    const sentinel = client();
    const call = { tool: 'search', callId: unique('call'), arguments: { query: 'x' } };
    const [first, second] = [await sentinel.decide(call), await sentinel.decide(call)];
    expect(second.decisionId).toBe(first.decisionId);
    const other = { ...call, arguments: { query: 'y' } };
    expect(await refused(sentinel.decide(other))).toMatchObject({ code: 'call_id_conflict' });
  });

  test('what is not JSON is denied before anything is sent', async () => {
    const values = [
      { a: Number.NaN },
      { a: 1n },
      { a: new Date() },
      { a: '\ud800' },
      { a: () => 1 },
    ];
    for (const args of values) {
      expect(await refused(client().decide({ tool: 'search', arguments: args }))).toMatchObject({
        code: 'invalid_arguments',
      });
    }
  });
});

describe('with a control plane that is out of order', () => {
  const faults: [string, string, Parameters<typeof checks>[0]][] = [
    ['answers 500', 'server_error', (response) => json(response, 500, { allow: true })],
    [
      'answers 503 as Sentinel does',
      'server_error',
      (response) =>
        json(response, 503, { status: 503, code: 'overloaded', detail: 'x', allow: false }),
    ],
    [
      'answers 429',
      'throttled',
      (response) => json(response, 429, { status: 429, code: 'rate', detail: 'x' }),
    ],
    [
      'redirects',
      'redirected',
      (response) => response.writeHead(307, { location: '/allowed' }).end(),
    ],
    [
      'answers garbage',
      'malformed_answer',
      (response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"allow": tru'),
    ],
    [
      'answers a page',
      'malformed_answer',
      (response) =>
        response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify(ALLOW)),
    ],
    ['answers 201', 'malformed_answer', (response) => json(response, 201, ALLOW)],
    [
      'answers an empty body',
      'malformed_answer',
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(),
    ],
    ['answers a list', 'malformed_answer', (response) => json(response, 200, [ALLOW])],
    [
      'allows in another type',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, allow: 'true' }),
    ],
    [
      'allows with 1',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, allow: 1 }),
    ],
    [
      'allows with the code of a deny',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, code: 'killed' }),
    ],
    [
      'allows without a decision',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, decision_id: undefined }),
    ],
    [
      'allows without obligations',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, obligations: undefined }),
    ],
    [
      'allows with a permit that is a number',
      'malformed_answer',
      (response) => json(response, 200, { ...ALLOW, permit: 7 }),
    ],
    [
      'says allow twice',
      'malformed_answer',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(JSON.stringify(ALLOW).replace('{', '{"allow":false,')),
    ],
    [
      'answers more than it may',
      'answer_too_large',
      (response) => json(response, 200, { ...ALLOW, reason: 'x'.repeat(2 ** 20) }),
    ],
    [
      'answers more than it may in pieces',
      'answer_too_large',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        for (let part = 0; part < 20; part += 1) response.write(' '.repeat(2 ** 16));
        response.end(JSON.stringify(ALLOW));
      },
    ],
    [
      'answers half',
      'malformed_answer',
      (response) => {
        const text = JSON.stringify(ALLOW);
        response.writeHead(200, {
          'content-type': 'application/json',
          'content-length': text.length,
        });
        response.write(text.slice(0, 40), () => response.destroy());
      },
    ],
    ['hangs up', 'malformed_answer', (response) => response.destroy()],
    ['does not answer', 'timeout', () => undefined],
    [
      'answers too slowly',
      'timeout',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const text = JSON.stringify(ALLOW);
        let sent = 0;
        const timer = setInterval(() => {
          response.write(text[sent]);
          sent += 1;
        }, 50);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ];

  test.each(faults)('a control plane that %s: no decision, %s', async (_, code, answer) => {
    const server = await fake(checks(answer));
    const sentinel = closing({ url: server.url, apiKey: 'key', timeout: 0.4, killStream: false });
    let ran = false;
    const began = performance.now();
    const error = await refused(
      sentinel.governed('search', () => {
        ran = true;
      })({}),
    );
    expect(error).toMatchObject({ name: 'ControlPlaneUnavailable', code });
    expect(ran).toBe(false);
    expect(error.modelMessage).toContain('The tool was not run.');
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(server.to('/policy/check')).toHaveLength(1);
    expect(server.to('/allowed')).toHaveLength(0);
  });

  test('an obligation that is not known is a deny', async () => {
    const server = await fake(
      checks((response) => json(response, 200, { ...ALLOW, obligations: [{ type: 'mask' }] })),
    );
    const sentinel = closing({ url: server.url, apiKey: 'key', killStream: false });
    expect(await refused(sentinel.decide({ tool: 'search' }))).toMatchObject({
      name: 'PolicyDenied',
      code: 'unknown_obligation',
      decisionId: DECISION,
    });
  });

  test('a refusal is not tried again', async () => {
    const problem = {
      status: 403,
      code: 'tenant_forbidden',
      detail: 'another tenant',
      allow: false,
    };
    const server = await fake(checks((response) => json(response, 403, problem)));
    const sentinel = closing({ url: server.url, apiKey: 'key', killStream: false });
    expect(await refused(sentinel.decide({ tool: 'search' }))).toMatchObject({
      name: 'PolicyDenied',
      code: 'tenant_forbidden',
    });
    expect(server.to('/policy/check')).toHaveLength(1);
  });

  test('a connection that is refused is tried once more', async () => {
    const server = await fake(checks((response) => json(response, 200, ALLOW)));
    let attempts = 0;
    const flaky: typeof fetch = async (input, init) => {
      attempts += 1;
      return fetch(attempts === 1 ? `${await nowhere()}/policy/check` : input, init);
    };
    const sentinel = closing({ url: server.url, apiKey: 'key', killStream: false, fetch: flaky });
    expect((await sentinel.decide({ tool: 'search' })).decisionId).toBe(DECISION);
    expect(attempts).toBe(2);
  });

  test('nobody listens: no decision after two attempts', async () => {
    let attempts = 0;
    const counting: typeof fetch = (input, init) => {
      attempts += 1;
      return fetch(input, init);
    };
    const sentinel = closing({
      url: await nowhere(),
      apiKey: 'key',
      killStream: false,
      fetch: counting,
    });
    expect(await refused(sentinel.decide({ tool: 'search' }))).toMatchObject({
      code: 'unreachable',
    });
    expect(attempts).toBe(2);
  });

  test('the key goes nowhere but into its header', async () => {
    const lines: unknown[] = [];
    const logger = { debug: keep, info: keep, warn: keep, error: keep };
    function keep(...line: unknown[]) {
      lines.push(line);
    }
    const server = await fake(checks((response) => json(response, 500, {})));
    const sentinel = closing({ url: server.url, apiKey: 'the-secret', logger });
    const error = await refused(
      sentinel.decide({ tool: 'search', arguments: { a: 'the-argument' } }),
    );
    const said = JSON.stringify([lines, error, error.stack]);
    expect(lines.length).toBeGreaterThan(0);
    expect(said).not.toContain('the-secret');
    expect(said).not.toContain('the-argument');
  });
});
