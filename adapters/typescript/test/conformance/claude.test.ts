import { randomUUID } from 'node:crypto';
import type { HookCallbackMatcher, HookInput, Options } from '@anthropic-ai/claude-agent-sdk';
import { govern } from '@sentinel-mcp/claude-agent';
import type { Harness, KitTool, PlannedCall, ToolName } from '@sentinel-mcp/client/conformance';
import { type Session, session, turn } from '../claude/agent.js';
import { conforms, conformsForReal } from './run.js';

const PREFIX = 'mcp__tests__';
const registeredName = (tool: string) => tool.replace(PREFIX, '');

/** What the permission handler of an application makes of the input of a call. */
function rewriting(calls: readonly PlannedCall[]): Options {
  const changed = calls.find(({ changed_to }) => changed_to)?.changed_to;
  if (!changed) return {};
  const canUseTool: Options['canUseTool'] = async () => ({
    behavior: 'allow',
    updatedInput: { ...changed },
  });
  return { allowedTools: [], canUseTool };
}

/** Claude Code itself. A hook cannot end a tool that runs, so its result is withheld in place of that. */
const real: Harness = {
  name: '@sentinel-mcp/claude-agent with Claude Code',
  lacks: ['cancel'],
  open: ({ tools }, client) => ({
    turn: async (calls) => {
      const uses = calls.map(({ id, tool, arguments: input }): [string, string, unknown] => [
        id,
        `${PREFIX}${tool}`,
        input,
      ]);
      const options = govern(rewriting(calls), { client, registeredName });
      const ended: Session = await session({ main: [turn(...uses)] }, options, tools as never);
      return ended.api.read;
    },
  }),
};

/** The hooks by themselves, called as Claude Code calls them: for the many cases of a faulty control plane. */
const stoodIn: Harness = {
  name: '@sentinel-mcp/claude-agent with a stand-in for Claude Code',
  lacks: ['cancel'],
  open: ({ tools }, client) => ({
    turn: async (calls) => {
      const options = govern(rewriting(calls), { client, registeredName });
      const sessionId = randomUUID();
      const read = calls.map(async (call) => [
        call.id,
        await made(call, options, sessionId, tools),
      ]);
      return Object.fromEntries(await Promise.all(read)) as Record<string, string>;
    },
  }),
};

async function made(
  call: PlannedCall,
  options: Options,
  sessionId: string,
  tools: Record<ToolName, KitTool>,
): Promise<string> {
  const name = `${PREFIX}${call.tool}`;
  const base = { session_id: sessionId, transcript_path: '', cwd: '/', tool_name: name };
  const fire = (
    event: 'PreToolUse' | 'PostToolUse' | 'PostToolUseFailure',
    input: object,
    more: object,
  ) =>
    hook(options.hooks?.[event]?.[0], {
      ...base,
      hook_event_name: event,
      tool_use_id: call.id,
      tool_input: input,
      ...more,
    } as HookInput);
  const before = await fire('PreToolUse', call.arguments, {});
  if (before?.permissionDecision) return String(before.permissionDecisionReason);
  const answer = await options.canUseTool?.(name, { ...call.arguments }, {
    toolUseID: call.id,
  } as never);
  if (answer?.behavior === 'deny') return answer.message;
  const input = (answer?.updatedInput ?? call.arguments) as { query: string };
  try {
    const result = await tools[call.tool as ToolName](input);
    const after = await fire('PostToolUse', input, { tool_response: result });
    return String(after?.updatedToolOutput ?? result);
  } catch (error) {
    await fire('PostToolUseFailure', input, { error: String(error) });
    return String(error);
  }
}

interface Specific {
  permissionDecision?: string;
  permissionDecisionReason?: string;
  updatedToolOutput?: unknown;
}

async function hook(
  matcher: HookCallbackMatcher | undefined,
  input: HookInput,
): Promise<Specific | undefined> {
  const { signal } = new AbortController();
  const output = await matcher?.hooks[0]?.(input, undefined, { signal });
  return (output as { hookSpecificOutput?: Specific } | undefined)?.hookSpecificOutput;
}

conforms(stoodIn);
conformsForReal(real);
