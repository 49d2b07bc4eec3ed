// The Claude Agent SDK with the real Claude Code. Its model is scripted, behind a stand-in for the Messages API: leave
// out `env` to use your own.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSdkMcpServer, query, tool } from '@anthropic-ai/claude-agent-sdk';
import { govern } from '@sentinel-mcp/claude-agent';
import { sentinel } from '@sentinel-mcp/client';
import { z } from 'zod';
import { messagesApi } from './messages-api.mjs';

const SEARCH = 'mcp__docs__langsmith-docs-search';
const WRITE = 'mcp__docs__finance-ledger-writer';

const named = (name) =>
  tool(name, name, { query: z.string() }, async (input) => ({
    content: [{ type: 'text', text: `${name} ran for ${input.query}` }],
  }));
const docs = createSdkMcpServer({
  name: 'docs',
  alwaysLoad: true,
  tools: [named('langsmith-docs-search'), named('finance-ledger-writer')],
});

const api = await messagesApi([SEARCH, WRITE], { query: 'kill switches' });
const home = await mkdtemp(join(tmpdir(), 'claude-'));
const options = govern(
  {
    mcpServers: { docs },
    allowedTools: ['mcp__docs__*'],
    settingSources: [],
    cwd: home,
    env: {
      PATH: process.env.PATH,
      HOME: home,
      ANTHROPIC_BASE_URL: api.url,
      ANTHROPIC_API_KEY: 'scripted',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  },
  {
    purpose: 'documentation_lookup',
    registeredName: (name) => name.replace('mcp__docs__', ''),
  },
);

for await (const message of query({ prompt: 'What stops an agent?', options })) {
  if (message.type === 'result') console.log(message.result);
}
for (const text of api.read) console.log(text);
api.close();
await sentinel().close();
