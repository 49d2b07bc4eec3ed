import type {
  HookCallback,
  HookCallbackMatcher,
  HookEvent,
  HookInput,
  HookJSONOutput,
  PostToolUseFailureHookInput,
  PostToolUseHookInput,
  PreSkillShellCommandHookInput,
  PreToolUseHookInput,
} from '@anthropic-ai/claude-agent-sdk';
import { type Arguments, PolicyDenied, type Sentinel, sentinel } from '@sentinel-mcp/client';
import { Calls, type HookCall, refusal, type Stated } from './calls.js';

export interface HookOptions extends Stated {
  /** The client; that of the `SENTINEL_*` variables when left out. */
  client?: Sentinel | undefined;
}

export type Hooks = Partial<Record<HookEvent, HookCallbackMatcher[]>>;

/**
 * The hooks of one agent, for the option `hooks` of `query`:
 *
 *     query({ prompt, options: { hooks: sentinelHooks() } })
 *
 * They cover the calls of subagents, too. `govern` also covers hooks and handlers that rewrite a call.
 */
export function sentinelHooks(options: HookOptions = {}): Hooks {
  const { client, ...stated } = options;
  return hooksOf(new Calls(() => client ?? sentinel(), stated));
}

export function hooksOf(calls: Calls): Hooks {
  return {
    PreToolUse: [closed(calls, (input) => before(calls, input))],
    PreSkillShellCommand: [closed(calls, (input) => before(calls, input))],
    PostToolUse: [closed(calls, (input) => after(calls, input as PostToolUseHookInput))],
    PostToolUseFailure: [
      closed(calls, (input) => failed(calls, input as PostToolUseFailureHookInput)),
    ],
  };
}

/**
 * Registers a hook that blocks when it fails: without `onFailure`, Claude runs the tool when a hook throws or is late.
 * Its time is longer than that of a decision, which has to end first.
 */
function closed(
  calls: Calls,
  hook: (input: HookInput) => Promise<HookJSONOutput>,
): HookCallbackMatcher {
  const callback: HookCallback = (input) => hook(input);
  return {
    hooks: [callback],
    get timeout() {
      return 2 * timeoutOf(calls) + 10;
    },
    onFailure: 'block',
  };
}

function timeoutOf(calls: Calls): number {
  try {
    return calls.client.settings.timeout;
  } catch {
    // It is not configured: each call is denied, at once.
    return 5;
  }
}

type Before = PreToolUseHookInput | PreSkillShellCommandHookInput;

async function before(calls: Calls, input: HookInput): Promise<HookJSONOutput> {
  const call = input as Before;
  try {
    await calls.decide(described(call));
    // Not `allow`: that would answer the permission prompt in the user's place.
    return {};
  } catch (error) {
    return denial(call.hook_event_name, refusal(error));
  }
}

/** A deny as Claude understands it: at any other place, or by any other word, the tool runs. */
export function denial(event: Before['hook_event_name'], reason: string): HookJSONOutput {
  return {
    hookSpecificOutput: {
      hookEventName: event,
      permissionDecision: 'deny',
      permissionDecisionReason: reason,
    },
  };
}

export function described(
  input: Before | PostToolUseHookInput | PostToolUseFailureHookInput,
): HookCall {
  return {
    sessionId: input.session_id,
    toolUseId: input.tool_use_id,
    tool: input.tool_name,
    input: input.tool_input,
    subagent: input.agent_id === undefined ? undefined : (input.agent_type ?? 'unknown'),
  };
}

/** The tool has run, so nothing here may fail. */
async function after(calls: Calls, input: PostToolUseHookInput): Promise<HookJSONOutput> {
  try {
    const { ticket, changed } = calls.take(described(input));
    const ran = changed ? (input.tool_input as Arguments) : undefined;
    const outcome = ticket?.stopped ? 'cancelled' : 'succeeded';
    await ticket?.finish(outcome, input.tool_response, ran).settled();
    if (changed) return withheld(undecided(calls, input.tool_name));
    return ticket?.stopped ? withheld(ticket.stopped) : {};
  } catch (error) {
    return unrecorded(calls, error);
  }
}

async function failed(calls: Calls, input: PostToolUseFailureHookInput): Promise<HookJSONOutput> {
  try {
    const { ticket, changed } = calls.take(described(input));
    const ran = changed ? (input.tool_input as Arguments) : undefined;
    const cut = input.is_interrupt === true || ticket?.stopped !== undefined;
    await ticket?.finish(cut ? 'cancelled' : 'failed', { error: 'tool' }, ran).settled();
    return {};
  } catch (error) {
    return unrecorded(calls, error);
  }
}

function unrecorded(calls: Calls, error: unknown): HookJSONOutput {
  calls.client.log.write('error', 'the end of a call could not be recorded', {
    error: String(error),
  });
  return {};
}

/** The result of a call that should not have gone on. */
function withheld(denied: PolicyDenied): HookJSONOutput {
  const { modelMessage } = denied;
  return {
    decision: 'block',
    reason: modelMessage,
    hookSpecificOutput: { hookEventName: 'PostToolUse', updatedToolOutput: modelMessage },
  };
}

/** Something rewrote the input after the decision, where that cannot be prevented. It has run by now. */
function undecided(calls: Calls, tool: string): PolicyDenied {
  const denied = new PolicyDenied(
    'the tool ran with an input that was not decided',
    'arguments_changed',
  );
  calls.client.log.write('error', denied.reason, {
    tool: calls.registered(tool),
    code: denied.code,
  });
  return denied;
}
