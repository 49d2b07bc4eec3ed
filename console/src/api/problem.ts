import type { components } from "./schema";

type ProblemDocument = components["schemas"]["Problem"];

/** An error of the interface: RFC 9457, or no answer at all. */
export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    /** Zero when there was no answer. */
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail: string,
    readonly requestId: string | null = null,
    readonly reasons: readonly string[] = [],
  ) {
    super(detail || title);
  }

  static from(status: number, body: unknown): Problem {
    const document = (typeof body === "object" && body !== null ? body : {}) as Partial<
      Record<keyof ProblemDocument, unknown>
    >;
    return new Problem(
      status,
      text(document.code) ?? `http_${status}`,
      text(document.title) ?? `The server answered with status ${status}`,
      text(document.detail) ?? "The answer does not say why.",
      text(document.request_id) ?? null,
      Array.isArray(document.reasons) ? document.reasons.map(String) : [],
    );
  }

  static unreachable(cause: unknown): Problem {
    return new Problem(
      0,
      "unreachable",
      "The server cannot be reached",
      cause instanceof Error ? cause.message : "The request was not answered.",
    );
  }

  /** The role, tenant or agent of the key forbids it: asking again does not help. */
  get forbidden(): boolean {
    return this.status === 403;
  }

  get signedOut(): boolean {
    return this.status === 401;
  }
}

export function problemOf(error: unknown): Problem {
  return error instanceof Problem ? error : Problem.unreachable(error);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
