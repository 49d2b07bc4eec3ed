/** Where the developer reads what happens: `console` is one. */
export interface Logger {
  debug?(message: string, fields: Record<string, unknown>): void;
  info?(message: string, fields: Record<string, unknown>): void;
  warn?(message: string, fields: Record<string, unknown>): void;
  error?(message: string, fields: Record<string, unknown>): void;
}

type Level = keyof Logger;

/** Writes to a logger whose faults stop nothing. */
export class Log {
  readonly #logger: Logger | undefined;

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  write(level: Level, message: string, fields: Record<string, unknown> = {}): void {
    try {
      this.#logger?.[level]?.(`sentinel: ${message}`, fields);
    } catch {
      // A logger that throws must not decide whether a tool runs.
    }
  }
}
