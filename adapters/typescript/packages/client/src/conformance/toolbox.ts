/** The tools of the kit. They record what is done to them. */

const LONGEST_WAIT_MS = 10_000;
export const TOOLS = ['lookup', 'forbidden', 'metered', 'wait', 'explode', 'unregistered'] as const;
export type ToolName = (typeof TOOLS)[number];

export interface Run {
  tool: string;
  arguments: { query: string };
}

export type KitTool = (args: { query: string }, signal?: AbortSignal) => Promise<string>;

export class Toolbox {
  readonly started: Run[] = [];
  readonly cancelled: Run[] = [];
  readonly #waiting: (() => void)[] = [];
  #waits = false;

  /** The tools by name, each with one argument, `query`, and a text as its result. */
  readonly tools = Object.fromEntries(
    TOOLS.map((name): [ToolName, KitTool] => [
      name,
      (args, signal) => this.#run(name, args, signal),
    ]),
  ) as Record<ToolName, KitTool>;

  /** Resolves when `wait` runs. */
  waiting(): Promise<void> {
    return this.#waits ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #run(tool: ToolName, { query }: { query: string }, signal?: AbortSignal): Promise<string> {
    const run = { tool, arguments: { query } };
    this.started.push(run);
    if (tool === 'explode') throw new Error('the tool broke');
    if (tool === 'wait') await this.#wait(run, signal);
    return `result of ${tool}: ${query}`;
  }

  #wait(run: Run, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, LONGEST_WAIT_MS);
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        this.cancelled.push(run);
        reject(signal.reason);
      });
      this.#waits = true;
      for (const heard of this.#waiting.splice(0)) heard();
    });
  }
}
