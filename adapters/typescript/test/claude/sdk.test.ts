import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HookCallbackMatcher, HookJSONOutput, Options } from '@anthropic-ai/claude-agent-sdk';
import { govern, sentinelHooks } from '@sentinel-mcp/claude-agent';
import type { PolicyDenied } from '@sentinel-mcp/client';
import { beforeAll, describe, expect, test } from 'vitest';
import { checks, fake, json, nowhere } from '../kit/fake.js';
import { client, closing, plane, useOwnPlane } from '../kit/sentinel.js';
import { home, type Session, session, turn } from './agent.js';

const SEARCH = 'mcp__tests__search';
const WAIT = 'mcp__tests__wait';

useOwnPlane();

beforeAll(async () => {
  for (const tool of [SEARCH, WAIT, 'mcp__tests__fail', 'Bash', 'Agent', 'Skill', 'ToolSearch']) {
    await plane().register(tool);
  }
});

/** One call of a tool, under these hooks. */
function one(options: Options, input: unknown = {}): Promise<Session> {
  return session({ main: [turn(['a', SEARCH, input])] }, options);
}

describe('governed', () => {
  test('an allowed call runs and is signed; a denied one of the same turn does not, and the model reads why', async () => {
    const main = [
      turn(
        ['a', SEARCH, { query: 'x' }],
        ['b', SEARCH, { forbidden: true }],
        ['c', SEARCH, { query: 'y' }],
        ['d', 'mcp__tests__fail'],
      ),
    ];
    const sentinel = client({ sign: 'before_return' });
    const tools = {
      search: ({ query }: Record<string, unknown>) => `found ${query}`,
      fail: () => {
        throw new Error('out of paper');
      },
    };
    const { ran, api, end } = await session(
      { main },
      govern({}, { client: sentinel, purpose: 'research' }),
      tools,
    );
    expect(end).toBe('success');
    expect(ran).toEqual([
      ['search', { query: 'x' }],
      ['search', { query: 'y' }],
      ['fail', {}],
    ]);
    expect(api.read['a']).toBe('found x');
    expect(api.read['c']).toBe('found y');
    expect(api.read['d']).toContain('out of paper');
    expect(api.read['b']).toMatch(
      /Denied by policy: writes need an approval\. Repeating this call will not help/,
    );
    const [decision] = await plane().decisions('mcp__tests__fail');
    expect(decision).toMatchObject({ code: 'allowed' });
    expect(await plane().manifests('mcp__tests__fail')).toEqual([decision?.id]);
    expect(await plane().manifests(SEARCH)).toHaveLength(2);
    expect(decision?.call_id).toMatch(/\.toolu_for_d\.[0-9a-f]{16}$/);
  });

  test('the calls of a subagent are covered', async () => {
    const script = {
      main: [
        turn([
          'a',
          'Agent',
          { description: 'd', prompt: 'SUBAGENT', subagent_type: 'general-purpose' },
        ]),
      ],
      sub: [turn(['b', SEARCH, { query: 'in' }], ['c', SEARCH, { forbidden: true }])],
    };
    const { ran, api } = await session(script, { hooks: sentinelHooks({ client: client() }) });
    expect(ran).toEqual([['search', { query: 'in' }]]);
    expect(api.read['c']).toContain('Denied by policy');
  });

  test('an allow leaves the permission prompt to the user', async () => {
    const asked: string[] = [];
    const options: Options = {
      allowedTools: [],
      canUseTool: async (name) => {
        asked.push(name);
        return { behavior: 'deny', message: 'the user said no' };
      },
    };
    const { ran, api } = await one(govern(options, { client: client() }));
    expect(asked).toEqual([SEARCH]);
    expect(ran).toEqual([]);
    expect(api.read['a']).toContain('the user said no');
  });

  test('what another hook or the permission handler makes of the input is decided, too', async () => {
    const rewriting: HookCallbackMatcher = {
      hooks: [
        async () => ({
          hookSpecificOutput: { hookEventName: 'PreToolUse', updatedInput: { forbidden: true } },
        }),
      ],
    };
    const byHook = await one(govern({ hooks: { PreToolUse: [rewriting] } }, { client: client() }));
    expect(byHook.ran).toEqual([]);
    expect(byHook.api.read['a']).toContain('Denied by policy');

    const updatedInput = { forbidden: true };
    const canUseTool: Options['canUseTool'] = async () => ({ behavior: 'allow', updatedInput });
    const byHandler = await one(govern({ allowedTools: [], canUseTool }, { client: client() }));
    expect(byHandler.ran).toEqual([]);
    expect(byHandler.api.read['a']).toContain('Denied by policy');
  });

  test('a rewritten input that is allowed runs as the call that was decided', async () => {
    const updatedInput = { query: 'better' };
    const canUseTool: Options['canUseTool'] = async () => ({ behavior: 'allow', updatedInput });
    const { ran, api } = await one(govern({ allowedTools: [], canUseTool }, { client: client() }));
    expect(ran).toEqual([['search', { query: 'better' }]]);
    expect(api.read['a']).toBe('found better');
  });

  test('a rewrite behind our back is found after the call, and its result is withheld', async () => {
    const rewriting: HookCallbackMatcher = {
      hooks: [
        async () => ({
          hookSpecificOutput: { hookEventName: 'PreToolUse', updatedInput: { query: 'other' } },
        }),
      ],
    };
    const hooks = sentinelHooks({ client: client() });
    hooks.PreToolUse?.push(rewriting);
    const { ran, api } = await one({ hooks }, { query: 'mine' });
    expect(ran).toEqual([['search', { query: 'other' }]]);
    expect(api.read['a']).toContain('arguments_changed');
    expect(api.read['a']).not.toContain('found other');
  });

  test('a kill while the tool runs withholds its result, and stops the next call', async () => {
    const sentinel = client();
    await sentinel.ready();
    const tools = {
      wait: async () => {
        await plane().killTool(WAIT);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return 'secret';
      },
    };
    const main = [turn(['a', WAIT]), turn(['b', WAIT])];
    const { ran, api } = await session({ main }, govern({}, { client: sentinel }), tools);
    expect(ran).toHaveLength(1);
    expect(api.read['a']).toContain('Stopped by an operator: killed (tool): incident 4711');
    expect(api.read['a']).not.toContain('secret');
    expect(api.read['b']).toContain('Stopped by an operator');
  });

  test('a kill while the tool runs is told, so that the turn can be ended', async () => {
    await plane().register('mcp__tests__slow');
    const sentinel = client();
    await sentinel.ready();
    const told: string[] = [];
    const tools = {
      slow: async () => {
        await plane().killTool('mcp__tests__slow');
        await new Promise((resolve) => setTimeout(resolve, 200));
        return told.length;
      },
    };
    const onKill = ({ code }: PolicyDenied) => told.push(code);
    const main = [turn(['a', 'mcp__tests__slow'])];
    await session({ main }, govern({}, { client: sentinel, onKill }), tools);
    expect(told).toEqual(['killed']);
  });

  test('shell commands in the text of a skill are decided as commands', async () => {
    const folder = await home();
    const skill = join(folder, '.claude/skills/look');
    await mkdir(skill, { recursive: true });
    const marker = join(folder, 'ran');
    const text = `---\nname: look\ndescription: looks\nallowed-tools: Bash(touch:*)\n---\n!\`touch ${marker}\`\n`;
    await writeFile(join(skill, 'SKILL.md'), text);
    const main = [turn(['a', 'Skill', { skill: 'look' }])];
    const options: Options = { cwd: folder, settingSources: ['project'] };
    const unregistered = { client: client(), prefix: 'unregistered-' };
    const hooks = sentinelHooks(unregistered);
    // Only the command is governed here, so that the skill is loaded.
    delete hooks.PreToolUse;
    await session({ main }, { ...options, hooks });
    await expect(access(marker)).rejects.toThrow();
    await session({ main }, { ...options, hooks: sentinelHooks({ client: client() }) });
    await access(marker);
  });

  test('settings that turn hooks off do not turn these off', async () => {
    const folder = await home();
    await mkdir(join(folder, '.claude'), { recursive: true });
    await writeFile(
      join(folder, '.claude/settings.json'),
      JSON.stringify({ disableAllHooks: true }),
    );
    const { ran } = await one(
      {
        cwd: folder,
        settingSources: ['user', 'project', 'local'],
        hooks: sentinelHooks({ client: client() }),
      },
      { forbidden: true },
    );
    expect(ran).toEqual([]);
  });
});

describe('while the control plane', () => {
  test.each([
    ['is down', async () => nowhere(), 'unreachable'],
    ['is slow', async () => (await fake(checks(() => undefined))).url, 'timeout'],
    [
      'answers 500',
      async () => (await fake(checks((response) => json(response, 500, {})))).url,
      'server_error',
    ],
    [
      'answers garbage',
      async () => (await fake(checks((response) => json(response, 200, {})))).url,
      'malformed_answer',
    ],
    [
      'redirects',
      async () =>
        (await fake(checks((response) => response.writeHead(302, { location: '/' }).end()))).url,
      'redirected',
    ],
  ])('%s no tool runs', async (_, url, code) => {
    const sentinel = closing({ url: await url(), apiKey: 'key', timeout: 0.5, killStream: false });
    const { ran, api } = await one({ hooks: sentinelHooks({ client: sentinel }) });
    expect(ran).toEqual([]);
    expect(api.read['a']).toContain('The tool was not run.');
    expect(api.read['a']).toContain(code);
  });

  test('is not configured no tool runs', async () => {
    const { ran, api } = await one({ hooks: sentinelHooks() });
    expect(ran).toEqual([]);
    expect(api.read['a']).toContain('not_configured');
  });
});

/** What `frameworks.md` lists: hooks that look right, and let the tool run. Ours are registered so that they block. */
describe('ways in which a hook of Claude fails open', () => {
  const deny = { permissionDecision: 'deny', permissionDecisionReason: 'no' };
  const misspelt = { hookEventName: 'PreToolUse', permissionDecision: 'denied' };
  const throwing = async () => {
    throw new Error('broken');
  };
  const late = () => new Promise<never>(() => undefined);
  const open: [string, () => Promise<HookJSONOutput>][] = [
    ['throws', throwing],
    ['misspells its decision', async () => ({ hookSpecificOutput: misspelt }) as HookJSONOutput],
    ['decides at the top level', async () => deny as HookJSONOutput],
    ['says `continue: false` and nothing else', async () => ({ continue: false })],
  ];

  test('a hook of the SDK that is late blocks by itself', async () => {
    const { ran } = await one({ hooks: { PreToolUse: [{ hooks: [late], timeout: 1 }] } });
    expect(ran).toEqual([]);
  });

  test.each(open)('a hook that %s: the tool runs', async (_, hook) => {
    const { ran } = await one({ hooks: { PreToolUse: [{ hooks: [hook], timeout: 1 }] } });
    expect(ran).toHaveLength(1);
  });

  const registered = sentinelHooks({ client: undefined }).PreToolUse?.[0];
  // The other two are valid answers for Claude, so that nothing has failed: ours give neither.
  const valid = ['decides at the top level', 'says `continue: false` and nothing else'];
  const closed = [...open.filter(([name]) => !valid.includes(name)), ['is late', late] as const];
  test.each(closed)('registered as ours are, a hook that %s blocks', async (_, hook) => {
    const { onFailure } = registered as HookCallbackMatcher;
    const { ran } = await one({
      hooks: { PreToolUse: [{ hooks: [hook], timeout: 1, onFailure }] },
    });
    expect(ran).toEqual([]);
  });

  test('ours are for every tool, block on failure, and have more time than a decision', () => {
    const hooks = sentinelHooks({ client: client({ timeout: 7 }) });
    expect(Object.keys(hooks).sort()).toEqual([
      'PostToolUse',
      'PostToolUseFailure',
      'PreSkillShellCommand',
      'PreToolUse',
    ]);
    for (const [matcher] of Object.values(hooks)) {
      expect(matcher?.matcher).toBeUndefined();
      expect(matcher?.onFailure).toBe('block');
      expect(matcher?.timeout).toBeGreaterThan(7);
    }
  });
});
