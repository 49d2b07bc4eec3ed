/** Runs the real Claude Code, by the Agent SDK, with a scripted model and nothing but the loopback. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSdkMcpServer,
  type Options,
  query,
  type SDKMessage,
  tool,
} from '@anthropic-ai/claude-agent-sdk';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { type Api, messagesApi, type Script } from './messages.js';

const NOWHERE = 'http://127.0.0.1:9';

export interface Session {
  /** What ran, in order: the name of the tool and its input. */
  ran: [string, unknown][];
  api: Api;
  messages: SDKMessage[];
  /** Of the last message, or of what ended the run. */
  end: string;
}

/** What a test of ours has as `mcp__tests__NAME`, by name. */
export type Tools = Record<string, (input: Record<string, unknown>) => unknown>;

const DEFAULT: Tools = { search: (input) => `found ${input['query'] ?? 'it'}` };

export async function home(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'claude-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** All that Claude Code sees of the environment. */
export function environment(folder: string, api: Api): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    CLAUDE_CONFIG_DIR: join(folder, '.claude'),
    ANTHROPIC_BASE_URL: api.url,
    ANTHROPIC_API_KEY: 'stand-in',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    // The tools of MCP servers are there from the start, so that no call is needed to load them.
    ENABLE_TOOL_SEARCH: 'false',
    DISABLE_AUTOUPDATER: '1',
    DISABLE_TELEMETRY: '1',
    DISABLE_ERROR_REPORTING: '1',
    HTTP_PROXY: NOWHERE,
    HTTPS_PROXY: NOWHERE,
    NO_PROXY: '127.0.0.1,localhost',
  };
}

export async function session(
  script: Script,
  options: Options | ((folder: string) => Options),
  tools: Tools = DEFAULT,
  more: Record<string, string> = {},
): Promise<Session> {
  const api = await messagesApi(script);
  const folder = await home();
  const result: Session = { ran: [], api, messages: [], end: '' };
  const server = createSdkMcpServer({
    name: 'tests',
    tools: Object.entries(tools).map(([name, run]) =>
      tool(
        name,
        name,
        { query: z.string().optional(), forbidden: z.boolean().optional() },
        async (input) => {
          result.ran.push([name, input]);
          return { content: [{ type: 'text', text: String(await run(input)) }] };
        },
      ),
    ),
  });
  const given = typeof options === 'function' ? options(folder) : options;
  const run = query({
    prompt: 'make the calls',
    options: {
      cwd: folder,
      env: { ...environment(folder, api), ...more },
      settingSources: [],
      allowedTools: ['mcp__tests__*', 'Bash', 'Agent', 'Task', 'Skill'],
      mcpServers: { tests: server },
      model: 'sonnet',
      ...given,
    },
  });
  try {
    for await (const message of run) {
      result.messages.push(message);
      if (message.type === 'result') result.end = message.subtype;
    }
  } catch (error) {
    result.end = String(error);
  }
  return result;
}

/** The calls of one turn of the scripted model. */
export function turn(...calls: [id: string, name: string, input?: unknown][]) {
  return calls.map(([id, name, input = {}]) => ({ id, name, input }));
}
