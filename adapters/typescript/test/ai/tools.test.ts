import { governApproval, governTools, UngovernedTool } from '@sentinel-mcp/ai';
import type { Sentinel } from '@sentinel-mcp/client';
import {
  generateText,
  isStepCount,
  jsonSchema,
  streamText,
  type ToolApprovalStatus,
  ToolLoopAgent,
  type ToolSet,
  tool,
} from 'ai';
import { describe, expect, test } from 'vitest';
import { checks, fake, json, nowhere } from '../kit/fake.js';
import { client, closing, plane, unique } from '../kit/sentinel.js';
import { type ScriptedCall, scripted } from './model.js';

const inputSchema = jsonSchema<Record<string, unknown>>({ type: 'object' });
const stopWhen = isStepCount(10);

/** A tool that records with what it ran. */
function recording(ran: unknown[], more: object = {}) {
  return tool({
    inputSchema,
    execute: async (input: Record<string, unknown>) => {
      ran.push(input);
      return { found: input['query'] ?? null };
    },
    ...more,
  });
}

function call(tool: string, input: unknown = {}, id = unique('call')): ScriptedCall {
  return { id, tool, input };
}

describe('governed tools', () => {
  test('an allowed call runs and is signed; a denied one does not, and the model reads why', async () => {
    const ran: unknown[] = [];
    const sentinel = client({ sign: 'before_return' });
    const tools = governTools(
      { search: recording(ran), 'denied-tool': recording(ran) },
      { client: sentinel, purpose: 'research' },
    );
    const turns = [
      [
        call('search', { query: 'a' }, 'one'),
        call('denied-tool', {}, 'two'),
        call('search', { query: 'b' }, 'three'),
      ],
    ];
    const { model, read } = scripted(turns);
    const { text } = await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(text).toBe('done');
    // Calls of one turn run side by side, in any order.
    expect(ran).toHaveLength(2);
    expect(ran).toEqual(expect.arrayContaining([{ query: 'a' }, { query: 'b' }]));
    expect(read['one']).toContain('"found":"a"');
    expect(read['three']).toContain('"found":"b"');
    expect((await plane().manifests('search')).length).toBeGreaterThanOrEqual(2);
    expect(read['two']).toMatch(
      /Denied by policy: writes need an approval\. Repeating this call will not help/,
    );
  });

  test('the same when it streams', async () => {
    const ran: unknown[] = [];
    const tools = governTools(
      { search: recording(ran), 'denied-tool': recording(ran) },
      { client: client() },
    );
    const { model, read } = scripted([[call('search', {}, 'one'), call('denied-tool', {}, 'two')]]);
    const result = streamText({ model, tools, prompt: 'go', stopWhen });
    await result.consumeStream();
    expect(ran).toEqual([{}]);
    expect(read['two']).toContain('Denied by policy');
  });

  test('a tool that yields keeps its preliminary results, and is denied before it begins', async () => {
    let begun = 0;
    const yielding = () =>
      tool({
        inputSchema,
        async *execute() {
          begun += 1;
          yield 'first';
          yield 'second';
        },
      });
    const tools = governTools(
      { search: yielding(), 'denied-tool': yielding() },
      { client: client() },
    );
    const { model, read } = scripted([[call('search', {}, 'one'), call('denied-tool', {}, 'two')]]);
    const seen: unknown[] = [];
    const result = streamText({ model, tools, prompt: 'go', stopWhen });
    for await (const part of result.stream) if (part.type === 'tool-result') seen.push(part.output);
    expect(seen).toEqual(['first', 'second', 'second']);
    expect(begun).toBe(1);
    expect(read['two']).toContain('Denied by policy');
  });

  test('a function that returns an iterable without saying so gives its last value', async () => {
    const values = async function* () {
      yield 1;
      yield 2;
    };
    const tools = governTools(
      { search: tool({ inputSchema, execute: () => values() }) },
      { client: client() },
    );
    const { model, read } = scripted([[call('search', {}, 'one')]]);
    await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(read['one']).toBe('{"type":"json","value":2}');
  });

  test('a kill cuts the tool by its signal, and the model reads who stopped it', async () => {
    const name = unique('killed');
    await plane().register(name);
    const sentinel = client();
    await sentinel.ready();
    let aborted = false;
    const waiting = tool({
      inputSchema,
      execute: (_: unknown, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal?.addEventListener('abort', () => {
            aborted = true;
            reject(abortSignal.reason);
          });
          void plane().killTool(name);
        }),
    });
    const tools = governTools({ [name]: waiting }, { client: sentinel });
    const { model, read } = scripted([[call(name, {}, 'one')]]);
    await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(aborted).toBe(true);
    expect(read['one']).toContain('Stopped by an operator: killed (tool): incident 4711');
  });

  test('a kill cuts a tool that yields', async () => {
    const name = unique('killed');
    await plane().register(name);
    const sentinel = client();
    await sentinel.ready();
    const waiting = tool({
      inputSchema,
      async *execute() {
        yield 'begun';
        void plane().killTool(name);
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        yield 'secret';
      },
    });
    const tools = governTools({ [name]: waiting }, { client: sentinel });
    const { model, read } = scripted([[call(name, {}, 'one')]]);
    await streamText({ model, tools, prompt: 'go', stopWhen }).consumeStream();
    expect(read['one']).toContain('Stopped by an operator');
    expect(read['one']).not.toContain('secret');
  });

  test('arguments that are changed after the decision do not run', async () => {
    const ran: unknown[] = [];
    const sentinel = client();
    const changing = new Proxy(sentinel, {
      get: (target, name) => {
        if (name !== 'decide') return Reflect.get(target, name);
        return async (asked: Parameters<Sentinel['decide']>[0]) => {
          const ticket = await target.decide(asked);
          (asked.arguments as Record<string, unknown>)['query'] = 'another';
          return ticket;
        };
      },
    });
    const tools = governTools({ search: recording(ran) }, { client: changing });
    const { model, read } = scripted([[call('search', { query: 'a' }, 'one')]]);
    await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(ran).toEqual([]);
    expect(read['one']).toContain('arguments_changed');
  });

  test('input that the call refines is decided as it runs', async () => {
    const ran: unknown[] = [];
    const tools = governTools({ search: recording(ran) }, { client: client() });
    const { model, read } = scripted([[call('search', { query: 'a' }, 'one')]]);
    await generateText({
      model,
      tools,
      prompt: 'go',
      stopWhen,
      experimental_refineToolInput: { search: () => ({ query: 'b', forbidden: true }) },
    });
    expect(ran).toEqual([]);
    expect(read['one']).toContain('Denied by policy');
  });

  test('a tool that throws is signed as failed, and the model reads its error', async () => {
    const failing = tool({
      inputSchema,
      execute: async (): Promise<string> => {
        throw new Error('out of paper');
      },
    });
    const tools = governTools({ search: failing }, { client: client() });
    const { model, read } = scripted([[call('search', {}, 'one')]]);
    await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(read['one']).toContain('out of paper');
  });

  test('a tool that runs elsewhere is refused loudly', () => {
    const elsewhere = { search: tool({ inputSchema }) };
    expect(() => governTools(elsewhere)).toThrow(UngovernedTool);
    expect(governTools(elsewhere, { ungoverned: ['search'] }).search).toBe(elsewhere.search);
  });

  test('the tools of a sub-agent are governed where they are', async () => {
    const ran: unknown[] = [];
    const sentinel = client();
    const inner = scripted([[call('denied-tool', {}, 'inner')]]);
    const sub = new ToolLoopAgent({
      model: inner.model,
      tools: governTools({ 'denied-tool': recording(ran) }, { client: sentinel }),
    });
    const delegate = tool({
      inputSchema,
      execute: async (_: unknown, { abortSignal }) =>
        (await sub.generate({ prompt: 'go', abortSignal })).text,
    });
    const outer = scripted([[call('search', {}, 'outer')]]);
    const tools = governTools({ search: delegate }, { client: sentinel });
    await generateText({ model: outer.model, tools, prompt: 'go', stopWhen });
    expect(ran).toEqual([]);
    expect(inner.read['inner']).toContain('Denied by policy');
    expect(outer.read['outer']).toContain('done');
  });

  test.each([
    ['is down', async () => nowhere()],
    ['answers 500', async () => (await fake(checks((response) => json(response, 500, {})))).url],
    [
      'redirects',
      async () =>
        (await fake(checks((response) => response.writeHead(302, { location: '/' }).end()))).url,
    ],
    ['is slow', async () => (await fake(checks(() => undefined))).url],
  ])('while the control plane %s no tool runs', async (_, url) => {
    const ran: unknown[] = [];
    const sentinel = closing({ url: await url(), apiKey: 'key', timeout: 0.3, killStream: false });
    const tools = governTools({ search: recording(ran) }, { client: sentinel });
    const { model, read } = scripted([[call('search', {}, 'one')]]);
    await generateText({ model, tools, prompt: 'go', stopWhen });
    expect(ran).toEqual([]);
    expect(read['one']).toContain('The tool was not run.');
  });
});

describe('approval', () => {
  /** Runs one call of `search` with an approval configuration, and says what became of it. */
  async function outcome(
    more: object,
    inner?: Parameters<typeof governApproval<ToolSet>>[1],
    input: Record<string, unknown> = {},
  ) {
    const ran: unknown[] = [];
    const sentinel = client();
    const tools: ToolSet = governTools({ search: recording(ran, more) }, { client: sentinel });
    const { model, read } = scripted([[call('search', input, 'one')]]);
    const result = await generateText({
      model,
      tools,
      prompt: 'go',
      stopWhen,
      toolApproval: governApproval(tools, inner),
    });
    const asked = result.content.some(
      (part) => part.type === 'tool-approval-request' && !part.isAutomatic,
    );
    return { ran: ran.length, asked, read: read['one'] };
  }

  test('an allow approves nothing that the tool wants to be asked about', async () => {
    expect(await outcome({ needsApproval: true })).toMatchObject({ ran: 0, asked: true });
    expect(await outcome({ needsApproval: async () => true })).toMatchObject({
      ran: 0,
      asked: true,
    });
    expect(await outcome({ needsApproval: false })).toMatchObject({ ran: 1, asked: false });
    expect(await outcome({})).toMatchObject({ ran: 1, asked: false });
  });

  test('a configuration of the call that says nothing does not lift what the tool demands', async () => {
    // AI SDK alone would run the tool here.
    expect(await outcome({ needsApproval: true }, () => undefined)).toMatchObject({
      ran: 0,
      asked: true,
    });
    expect(await outcome({ needsApproval: true }, { other: 'approved' })).toMatchObject({
      ran: 0,
      asked: true,
    });
  });

  test('AI SDK alone lets a call-level configuration lift it: the trap is there', async () => {
    const ran: unknown[] = [];
    const { model } = scripted([[call('search', {}, 'one')]]);
    const tools = { search: recording(ran, { needsApproval: true }) };
    await generateText({ model, tools, prompt: 'go', stopWhen, toolApproval: () => undefined });
    expect(ran).toHaveLength(1);
  });

  test('AI SDK alone runs a tool on a status that it does not know: the trap is there', async () => {
    const ran: unknown[] = [];
    const { model } = scripted([[call('search', {}, 'one')]]);
    const tools = { search: recording(ran) };
    const toolApproval = () => 'deny' as unknown as ToolApprovalStatus;
    await generateText({ model, tools, prompt: 'go', stopWhen, toolApproval });
    expect(ran).toHaveLength(1);
  });

  test('a status that is not known denies', async () => {
    for (const status of ['deny', 'Denied', { type: 'block' }, { approved: false }, 0, {}]) {
      const inner = () => status as unknown as ToolApprovalStatus;
      const { ran, asked, read } = await outcome({}, inner);
      expect({ ran, asked }).toEqual({ ran: 0, asked: false });
      expect(read).toContain('is not known');
    }
  });

  test('what the configuration of the call decides holds', async () => {
    expect(await outcome({}, () => 'denied')).toMatchObject({ ran: 0, asked: false });
    expect(await outcome({}, { search: 'user-approval' })).toMatchObject({ ran: 0, asked: true });
    expect(await outcome({ needsApproval: true }, { search: () => 'approved' })).toMatchObject({
      ran: 1,
    });
  });

  test('a deny is not asked about, and the model reads why', async () => {
    const { ran, asked, read } = await outcome({ needsApproval: true }, undefined, {
      forbidden: true,
    });
    expect({ ran, asked }).toEqual({ ran: 0, asked: false });
    expect(read).toContain('Denied by policy: writes need an approval');
  });

  test('a configuration that throws denies, and the run goes on', async () => {
    const { ran, read } = await outcome({}, () => {
      throw new Error('broken');
    });
    expect(ran).toBe(0);
    expect(read).toContain('Denied');
  });

  test('an approved call is decided and counted once', async () => {
    const name = unique('quota');
    await plane().register(name);
    const ran: unknown[] = [];
    const tools: ToolSet = governTools({ [name]: recording(ran) }, { client: client() });
    const { model } = scripted([[call(name, {}, 'one')], [call(name, {}, 'two')]]);
    await generateText({
      model,
      tools,
      prompt: 'go',
      stopWhen,
      toolApproval: governApproval(tools),
    });
    // The quota is two.
    expect(ran).toHaveLength(2);
  });

  test('what a user approves later is decided again', async () => {
    const ran: unknown[] = [];
    const name = unique('later');
    await plane().register(name);
    const tools: ToolSet = governTools(
      { [name]: recording(ran, { needsApproval: true }) },
      { client: client() },
    );
    const { model, read } = scripted([[call(name, {}, 'one')], []]);
    const toolApproval = governApproval(tools);
    const prompt = [{ role: 'user' as const, content: 'go' }];
    const first = await generateText({ model, tools, messages: prompt, stopWhen, toolApproval });
    const request = first.content.find((part) => part.type === 'tool-approval-request');
    await plane().killTool(name);
    const approvalId = String((request as { approvalId?: string }).approvalId);
    const response = { type: 'tool-approval-response' as const, approvalId, approved: true };
    await generateText({
      model,
      tools,
      messages: [...prompt, ...first.response.messages, { role: 'tool', content: [response] }],
      stopWhen,
      toolApproval,
    });
    expect(ran).toEqual([]);
    expect(read['one']).toContain('Stopped by an operator');
  });

  test('tools that are not governed are refused', () => {
    expect(() => governApproval({ search: tool({ inputSchema }) })).toThrow(TypeError);
  });
});
