import type {
  GenericToolApprovalFunction,
  ToolApprovalConfiguration,
  ToolApprovalStatus,
  ToolSet,
} from 'ai';
import { type Governor, refusal } from './governor.js';
import { governorOf } from './tools.js';

/** The statuses of AI SDK 7. It runs a tool on any other, so what is not in this list denies. */
const STATUSES = ['not-applicable', 'approved', 'denied', 'user-approval'] as const;

interface Status {
  type: (typeof STATUSES)[number];
  reason?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the contexts of the caller are passed on as they are.
type Approval<TOOLS extends ToolSet> = GenericToolApprovalFunction<TOOLS, any, any>;
type Question<TOOLS extends ToolSet> = Parameters<Approval<TOOLS>>[0];

/**
 * Decides calls before a user is asked to approve them, so that nobody approves what is denied:
 *
 *     generateText({ tools, toolApproval: governApproval(tools) })
 *
 * An allow approves nothing by itself: what the tools (`needsApproval`) or `inner` say holds, the stricter of the two.
 *
 * @throws TypeError when `tools` are not those that `governTools` returned.
 */
export function governApproval<TOOLS extends ToolSet>(
  tools: TOOLS,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  inner?: ToolApprovalConfiguration<TOOLS, any>,
): Approval<TOOLS> {
  const governor = governorOf(tools);
  if (!governor)
    throw new TypeError('`governApproval` takes the tools that `governTools` returned');
  return async (question) => {
    try {
      return await status(governor, tools, inner, question);
    } catch (error) {
      // Thrown, it would end the run.
      return { type: 'denied', reason: refusal(error) };
    }
  };
}

async function status<TOOLS extends ToolSet>(
  governor: Governor,
  tools: TOOLS,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  inner: ToolApprovalConfiguration<TOOLS, any> | undefined,
  question: Question<TOOLS>,
): Promise<ToolApprovalStatus> {
  const { toolName, toolCallId, input } = question.toolCall;
  const stated = normalized(await statedBy(inner, question));
  if (stated.type === 'denied') return stated as ToolApprovalStatus;
  await governor.decideForApproval(toolName, toolCallId, input);
  // A configuration of the call replaces what the tool itself demands, even where it says nothing.
  if (stated.type === 'not-applicable' && (await demanded(tools, question))) {
    return { type: 'user-approval' };
  }
  return stated as ToolApprovalStatus;
}

async function statedBy<TOOLS extends ToolSet>(
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  inner: ToolApprovalConfiguration<TOOLS, any> | undefined,
  question: Question<TOOLS>,
): Promise<unknown> {
  if (typeof inner === 'function') return inner(question);
  const { toolName, toolCallId, input } = question.toolCall;
  if (!inner || !Object.hasOwn(inner, toolName)) return undefined;
  const one = (inner as Record<string, unknown>)[toolName];
  if (typeof one !== 'function') return one;
  const { messages, runtimeContext, toolsContext } = question;
  const toolContext = (toolsContext as Record<string, unknown> | undefined)?.[toolName];
  return one(input, { toolCallId, messages, toolContext, runtimeContext });
}

function normalized(status: unknown): Status {
  if (status === undefined || status === null) return { type: 'not-applicable' };
  const { type, reason } = (typeof status === 'string' ? { type: status } : status) as Status;
  if (STATUSES.includes(type)) return reason === undefined ? { type } : { type, reason };
  return {
    type: 'denied',
    reason: `Denied: the approval status \`${String(type)}\` is not known.`,
  };
}

async function demanded<TOOLS extends ToolSet>(
  tools: TOOLS,
  question: Question<TOOLS>,
): Promise<boolean> {
  const { toolName, toolCallId, input } = question.toolCall;
  const tool = Object.hasOwn(tools, toolName) ? tools[toolName] : undefined;
  const { needsApproval } = tool ?? {};
  if (typeof needsApproval !== 'function') return needsApproval === true;
  const { messages, toolsContext } = question;
  const context = (toolsContext as Record<string, unknown> | undefined)?.[toolName];
  return needsApproval(input as never, { toolCallId, messages, context } as never);
}
