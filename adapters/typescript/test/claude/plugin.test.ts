import { access, chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Options } from '@anthropic-ai/claude-agent-sdk';
import { beforeAll, describe, expect, test } from 'vitest';
import { fake, json, nowhere } from '../kit/fake.js';
import { BINARY, TENANT } from '../kit/plane.js';
import { place, plane, unique, useOwnPlane } from '../kit/sentinel.js';
import { home, type Session, session, turn } from './agent.js';

const PLUGIN = new URL('../../../claude-code', import.meta.url).pathname;
useOwnPlane();

beforeAll(async () => {
  for (const tool of ['Bash', 'Agent', 'Skill', 'mcp__tests__search']) await plane().register(tool);
});

/** What the command reads of the environment. */
function configured(url = place().url): Record<string, string> {
  const { agent } = place().keys;
  return {
    SENTINEL_URL: url,
    SENTINEL_API_KEY: agent,
    SENTINEL_TENANT: TENANT,
    SENTINEL_BINARY: BINARY,
  };
}

interface Ran extends Session {
  /** Whether the shell command ran. */
  touched: boolean;
}

/** One shell command, with the plugin loaded. */
async function shell(
  env: Record<string, string>,
  options: Options = {},
  plugin = PLUGIN,
): Promise<Ran> {
  const folder = options.cwd ?? (await home());
  const marker = join(folder, 'touched');
  const main = [turn(['a', 'Bash', { command: `touch ${marker}`, description: 'touches' }])];
  const loaded: Options = { cwd: folder, plugins: [{ type: 'local', path: plugin }], ...options };
  const ended = await session({ main }, loaded, undefined, env);
  const touched = await access(marker).then(
    () => true,
    () => false,
  );
  return { ...ended, touched };
}

/** A command in place of `sentinel`. */
async function command(script: string): Promise<Record<string, string>> {
  const path = join(await home(), 'sentinel');
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return { ...configured(), SENTINEL_BINARY: path };
}

describe('the plugin', () => {
  test('an allowed command runs and is signed', async () => {
    const before = (await plane().decisions('Bash')).length;
    const { touched, end } = await shell(configured());
    expect(end).toBe('success');
    expect(touched).toBe(true);
    const decisions = await plane().decisions('Bash');
    expect(decisions.length).toBe(before + 1);
    expect(await plane().manifests('Bash')).toContain(decisions[0]?.id);
  });

  test('a denied call does not run, and the model reads why; the session goes on', async () => {
    const main = [
      turn(
        ['a', 'mcp__tests__search', { forbidden: true }],
        ['b', 'mcp__tests__search', { query: 'x' }],
      ),
    ];
    const plugins: Options['plugins'] = [{ type: 'local', path: PLUGIN }];
    const { ran, api } = await session({ main }, { plugins }, undefined, configured());
    expect(ran).toEqual([['search', { query: 'x' }]]);
    expect(api.read['a']).toContain('Denied by policy: writes need an approval');
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
      sub: [turn(['b', 'mcp__tests__search', { forbidden: true }])],
    };
    const plugins: Options['plugins'] = [{ type: 'local', path: PLUGIN }];
    const { ran, api } = await session(script, { plugins }, undefined, configured());
    expect(ran).toEqual([]);
    expect(api.read['b']).toContain('Denied by policy');
  });

  test('a killed tool does not run', async () => {
    const prefix = `${unique('killed')}-`;
    await plane().register(`${prefix}Bash`);
    await plane().killTool(`${prefix}Bash`);
    const { touched, api } = await shell({ ...configured(), SENTINEL_TOOL_PREFIX: prefix });
    expect(touched).toBe(false);
    expect(api.read['a']).toContain('Stopped by an operator');
  });

  test('without a control plane nothing runs', async () => {
    const { touched, api } = await shell(configured(await nowhere()));
    expect(touched).toBe(false);
    expect(api.read['a']).toMatch(
      /^PreToolUse:Bash hook error: Denied because Sentinel cannot be reached/,
    );
  });

  test('a command that is missing blocks, and says so', async () => {
    const { touched, api } = await shell({ ...configured(), SENTINEL_BINARY: '/nowhere/sentinel' });
    expect(touched).toBe(false);
    expect(api.read['a']).toContain('failed with status 127');
  });

  test.each([
    ['exits 1', 'exit 1'],
    ['exits 2 with a reason', 'echo stopped >&2; exit 2'],
    ['is ended by a signal', 'kill -9 $$'],
    ['prints nothing', 'exit 0'],
    [
      'prints half an answer',
      `printf '%s' '{"hookSpecificOutput":{"hookEventName":"PreToolUse"'; exit 0`,
    ],
    ['decides at the top level', `echo '{"permissionDecision":"deny"}'`],
    ['prints a warning first', 'echo warning; echo "{}"'],
    [
      'misspells its decision',
      `echo '{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"denied"}}'`,
    ],
  ])('a command that %s blocks', async (_, script) => {
    const { touched } = await shell(await command(`case $(cat) in *PreToolUse*) ${script};; esac`));
    expect(touched).toBe(false);
  });

  test('a command that is late blocks', async () => {
    const copy = join(await home(), 'plugin');
    await cp(PLUGIN, copy, { recursive: true });
    const file = join(copy, 'hooks/hooks.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll('"timeout": 30', '"timeout": 1'));
    const { touched } = await shell(await command('exec sleep 20'), {}, copy);
    expect(touched).toBe(false);
  });

  test('shell commands in the text of a skill are decided', async () => {
    const folder = await home();
    const skill = join(folder, '.claude/skills/look');
    await mkdir(skill, { recursive: true });
    const marker = join(folder, 'ran');
    const text = `---\nname: look\ndescription: looks\nallowed-tools: Bash(touch:*)\n---\n!\`touch ${marker}\`\n`;
    await writeFile(join(skill, 'SKILL.md'), text);
    const main = [turn(['a', 'Skill', { skill: 'look' }])];
    const options: Options = {
      cwd: folder,
      settingSources: ['project'],
      plugins: [{ type: 'local', path: PLUGIN }],
    };
    const bash = { tenant_slug: TENANT, tool_name: 'Bash' };
    await plane().kill(bash);
    await session({ main }, options, undefined, configured());
    await plane().restore(bash);
    await expect(access(marker)).rejects.toThrow();
    await session({ main }, options, undefined, configured());
    await access(marker);
  });
});

/** The traps are there: with hooks of a settings file, without `onFailure`, the tool runs. */
describe('ways in which a hook of a settings file fails open', () => {
  async function settings(hooks: object, more: object = {}): Promise<Options> {
    const cwd = await home();
    await mkdir(join(cwd, '.claude'), { recursive: true });
    const text = JSON.stringify({ hooks: { PreToolUse: [{ hooks: [hooks] }] }, ...more });
    await writeFile(join(cwd, '.claude/settings.json'), text);
    return { cwd, settingSources: ['project'], plugins: [] };
  }
  const run = (command: string) => ({ type: 'command', command, timeout: 1 });

  test.each([
    ['exits 1', run('exit 1')],
    ['is missing', run('/nowhere/sentinel')],
    ['is late', run('sleep 20')],
    ['prints half an answer', run('echo "{\\"a\\": "')],
    ['decides at the top level', run(`echo '{"permissionDecision":"deny"}'`)],
    ['misspells its decision', run(`echo '{"decision":"deny"}'`)],
  ])('a command that %s: the tool runs', async (_, hook) => {
    expect((await shell({}, await settings(hook))).touched).toBe(true);
  });

  test('an HTTP hook that answers 500, or that nobody answers: the tool runs', async () => {
    const server = await fake((_, response) => json(response, 500, {}));
    for (const url of [server.url, await nowhere()]) {
      const options = await settings({ type: 'http', url, timeout: 2 });
      expect((await shell({}, options)).touched).toBe(true);
    }
  });

  test('settings that turn hooks off turn the plugin off, too: only `sentinel doctor` and the records show it', async () => {
    const options = await settings(run('true'), { disableAllHooks: true });
    const plugins: Options['plugins'] = [{ type: 'local', path: PLUGIN }];
    const { touched } = await shell(
      { ...configured(), SENTINEL_BINARY: '/nowhere' },
      { ...options, plugins },
    );
    expect(touched).toBe(true);
  });
});
