import type {
  CanUseTool,
  HookCallback,
  HookCallbackMatcher,
  HookJSONOutput,
  Options,
  PreToolUseHookInput,
} from '@anthropic-ai/claude-agent-sdk';
import { sentinel } from '@sentinel-mcp/client';
import { Calls, refusal } from './calls.js';
import { denial, described, type HookOptions, type Hooks, hooksOf } from './hooks.js';

/**
 * The same options of `query`, governed:
 *
 *     query({ prompt, options: govern(options) })
 *
 * Hooks and the permission handler of `options` keep working. Where one rewrites the input of a call, what it makes of
 * it is decided before it may run.
 */
export function govern(options: Options = {}, hookOptions: HookOptions = {}): Options {
  const { client, ...stated } = hookOptions;
  const calls = new Calls(() => client ?? sentinel(), stated);
  const { canUseTool, hooks = {} } = options;
  return {
    ...options,
    hooks: merged(hooksOf(calls), rewritesDecided(calls, hooks)),
    ...(canUseTool && { canUseTool: answersDecided(calls, canUseTool) }),
  };
}

function merged(ours: Hooks, theirs: Hooks): Hooks {
  const events = new Set([...Object.keys(ours), ...Object.keys(theirs)]) as Set<keyof Hooks>;
  const both = [...events].map((event) => [
    event,
    [...(ours[event] ?? []), ...(theirs[event] ?? [])],
  ]);
  return Object.fromEntries(both) as Hooks;
}

function rewritesDecided(calls: Calls, hooks: Hooks): Hooks {
  const { PreToolUse, ...rest } = hooks;
  if (!PreToolUse) return rest;
  const decided = (matcher: HookCallbackMatcher): HookCallbackMatcher => ({
    ...matcher,
    hooks: matcher.hooks.map((hook) => rewriteDecided(calls, hook)),
  });
  return { ...rest, PreToolUse: PreToolUse.map(decided) };
}

function rewriteDecided(calls: Calls, hook: HookCallback): HookCallback {
  return async (input, toolUseId, options) => {
    const output = await hook(input, toolUseId, options);
    const rewritten = rewrite(output);
    if (rewritten === undefined) return output;
    try {
      await calls.decide({ ...described(input as PreToolUseHookInput), input: rewritten });
      return output;
    } catch (error) {
      return denial('PreToolUse', refusal(error));
    }
  };
}

function rewrite(output: HookJSONOutput): unknown {
  const specific = 'hookSpecificOutput' in output ? output.hookSpecificOutput : undefined;
  return specific?.hookEventName === 'PreToolUse' ? specific.updatedInput : undefined;
}

function answersDecided(calls: Calls, canUseTool: CanUseTool): CanUseTool {
  return async (tool, input, options) => {
    const answer = await canUseTool(tool, input, options);
    if (answer?.behavior !== 'allow' || answer.updatedInput === undefined) return answer;
    try {
      await calls.decideRewritten(tool, options.toolUseID, answer.updatedInput);
      return answer;
    } catch (error) {
      return { behavior: 'deny', message: refusal(error) };
    }
  };
}
