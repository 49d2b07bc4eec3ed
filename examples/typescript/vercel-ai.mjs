// The tools of the Vercel AI SDK, with a model that is scripted: put your own in its place.
import { governTools } from '@sentinel-mcp/ai';
import { sentinel } from '@sentinel-mcp/client';
import { generateText, isStepCount, tool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { z } from 'zod';

const inputSchema = z.object({ query: z.string() });
const tools = governTools(
  {
    'langsmith-docs-search': tool({
      inputSchema,
      execute: async ({ query }) => `three pages about ${query}`,
    }),
    'finance-ledger-writer': tool({ inputSchema, execute: async () => 'never' }),
  },
  { purpose: 'documentation_lookup' },
);

const { text, steps } = await generateText({
  model: scripted(['langsmith-docs-search', 'finance-ledger-writer']),
  tools,
  prompt: 'What stops an agent?',
  stopWhen: isStepCount(5),
});
for (const part of steps.flatMap(({ content }) => content)) {
  if (part.type === 'tool-result') console.log(`${part.toolName}: ${part.output}`);
  if (part.type === 'tool-error') console.log(`${part.toolName}: ${part.error.message}`);
}
console.log(text);
await sentinel().close();

/** A model that calls these tools, one a turn, and then answers. */
function scripted(names) {
  const calls = names.map((toolName, index) => ({
    type: 'tool-call',
    toolCallId: `call-${index}`,
    toolName,
    input: JSON.stringify({ query: 'kill switches' }),
  }));
  const usage = { inputTokens: {}, outputTokens: {} };
  return new MockLanguageModelV4({
    doGenerate: async () => {
      const call = calls.shift();
      const unified = call ? 'tool-calls' : 'stop';
      const content = [call ?? { type: 'text', text: 'A kill does.' }];
      return { content, finishReason: { unified, raw: unified }, usage, warnings: [] };
    },
  });
}
