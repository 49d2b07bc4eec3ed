import { randomUUID } from 'node:crypto';
import { SentinelError } from '@sentinel-mcp/client';
import type { Harness, PlannedCall, ToolName } from '@sentinel-mcp/client/conformance';
import { conforms, conformsForReal } from './run.js';

/** The client by itself: a loop that makes calls, as a program would. */
const harness: Harness = {
  name: '@sentinel-mcp/client',
  open: ({ tools }, client) => {
    const made = async ({ id, tool, arguments: given, changed_to }: PlannedCall) => {
      const args = { ...given };
      const run = async () => {
        const ticket = await client.decide({ tool, arguments: args, callId: randomUUID() });
        Object.assign(args, changed_to);
        return ticket.run(tool, args, (signal) => tools[tool as ToolName](args, signal));
      };
      const governed = client.governed(tool, (it: { query: string }, { signal }) =>
        tools[tool as ToolName](it, signal),
      );
      const read = changed_to ? run() : governed(args);
      return [id, await read.catch(told)];
    };
    return { turn: async (calls) => Object.fromEntries(await Promise.all(calls.map(made))) };
  },
};

function told(error: unknown): string {
  return error instanceof SentinelError ? error.modelMessage : String(error);
}

conforms(harness);
conforms(harness, (input, init) => fetch(input, init));
conformsForReal(harness);
