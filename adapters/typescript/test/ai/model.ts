/** A scripted model: each turn is a list of calls to make, and after the last it says that it is done. */
import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { MockLanguageModelV4 } from 'ai/test';

export interface ScriptedCall {
  id: string;
  tool: string;
  input: unknown;
}

export interface Scripted {
  model: MockLanguageModelV4;
  /** What the model read of each call, by its id. */
  read: Record<string, string>;
}

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

export function scripted(turns: ScriptedCall[][]): Scripted {
  const read: Record<string, string> = {};
  let turn = 0;
  const next = (options: LanguageModelV4CallOptions) => {
    Object.assign(read, results(options));
    const calls = turns[turn] ?? [];
    turn += 1;
    return calls;
  };
  const model = new MockLanguageModelV4({
    doGenerate: async (options) => {
      const calls = next(options);
      const content = calls.length ? calls.map(part) : [{ type: 'text' as const, text: 'done' }];
      return { content, finishReason: finish(calls), usage: USAGE, warnings: [] };
    },
    doStream: async (options) => ({ stream: streamed(next(options)) }),
  });
  return { model, read };
}

function part({ id, tool, input }: ScriptedCall) {
  return {
    type: 'tool-call' as const,
    toolCallId: id,
    toolName: tool,
    input: JSON.stringify(input),
  };
}

function finish(calls: ScriptedCall[]) {
  const unified = calls.length ? ('tool-calls' as const) : ('stop' as const);
  return { unified, raw: unified };
}

function streamed(calls: ScriptedCall[]): ReadableStream<LanguageModelV4StreamPart> {
  const parts: LanguageModelV4StreamPart[] = [
    { type: 'stream-start', warnings: [] },
    ...calls.map(part),
    { type: 'finish', finishReason: finish(calls), usage: USAGE },
  ];
  return new ReadableStream({
    start(controller) {
      for (const each of parts) controller.enqueue(each);
      controller.close();
    },
  });
}

/** What the model is shown of the results. */
function results({ prompt }: LanguageModelV4CallOptions): Record<string, string> {
  const parts = prompt.flatMap((message) => (message.role === 'tool' ? message.content : []));
  return Object.fromEntries(
    parts.flatMap((each) =>
      each.type === 'tool-result' ? [[each.toolCallId, JSON.stringify(each.output)]] : [],
    ),
  );
}
