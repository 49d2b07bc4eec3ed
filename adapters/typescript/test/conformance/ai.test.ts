import { governTools } from '@sentinel-mcp/ai';
import { type Harness, TOOLS, type ToolName } from '@sentinel-mcp/client/conformance';
import { generateText, isStepCount, jsonSchema, streamText, type ToolSet, tool } from 'ai';
import { scripted } from '../ai/model.js';
import { conforms, conformsForReal } from './run.js';

const inputSchema = jsonSchema<{ query: string }>({
  type: 'object',
  properties: { query: { type: 'string' } },
  required: ['query'],
});

function harness(name: string, isStreaming: boolean): Harness {
  return {
    name,
    open: ({ tools: kit }, client) => {
      const made = TOOLS.map((name: ToolName) => [
        name,
        tool({ inputSchema, execute: (input, { abortSignal }) => kit[name](input, abortSignal) }),
      ]);
      const tools: ToolSet = governTools(Object.fromEntries(made) as ToolSet, { client });
      return {
        turn: async (calls) => {
          const turn = calls.map(({ id, tool, arguments: input }) => ({ id, tool, input }));
          const { model, read } = scripted([turn]);
          // What AI SDK itself runs between the model and the tool.
          const refined = calls.filter(({ changed_to }) => changed_to);
          const experimental_refineToolInput = Object.fromEntries(
            refined.map(({ tool, changed_to }) => [tool, () => changed_to as never]),
          );
          const options = {
            model,
            tools,
            prompt: 'go',
            stopWhen: isStepCount(3),
            experimental_refineToolInput,
          };
          if (isStreaming) await streamText(options).consumeStream();
          else await generateText(options);
          return read;
        },
      };
    },
  };
}

conforms(harness('@sentinel-mcp/ai', false));
conformsForReal(harness('@sentinel-mcp/ai', false));
conformsForReal(harness('@sentinel-mcp/ai, streaming', true));
