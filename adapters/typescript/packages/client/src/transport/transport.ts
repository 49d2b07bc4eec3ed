/** How a request goes out and its answer comes in: by `fetch` everywhere, and by `node:http` in Node. */

export interface Outgoing {
  method: 'GET' | 'POST';
  /** Without the address of the control plane. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
}

/** An answer that was received completely, whatever its status. */
export interface Received {
  status: number;
  /** The media type, as it was sent. */
  type: string;
  body: Uint8Array;
}

export type FailureKind = 'unreachable' | 'malformed_answer' | 'answer_too_large' | 'redirected';

/** There is no answer. */
export class TransportFailure extends Error {
  override readonly name = 'TransportFailure';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, reason: string) {
    super(reason);
    this.kind = kind;
  }
}

/** Sends a request, and stops when `deadline` is aborted. @throws TransportFailure */
export type Transport = (request: Outgoing, deadline: Deadline) => Promise<Received>;

/** When a request has to be done. */
export interface Deadline {
  /** Calls `stop` when the time is up, until the returned function is called. */
  onEnd(stop: () => void): () => void;
}

/** A larger body is not the control plane's. Bytes. */
export const MAX_BODY = 1024 * 1024;

export function tooLarge(): TransportFailure {
  return new TransportFailure('answer_too_large', `its answer is larger than ${MAX_BODY} bytes`);
}

export function redirected(): TransportFailure {
  return new TransportFailure('redirected', 'it answered with a redirect');
}

interface SystemError {
  code?: unknown;
  syscall?: unknown;
}

/** What a failure of `fetch` or of a request means: whether a connection was made tells if anything was sent. */
export function failureOf(error: unknown): TransportFailure {
  if (error instanceof TransportFailure) return error;
  const { code, syscall } = cause(error);
  // The code only: a message may contain addresses.
  const what = typeof code === 'string' ? code : 'no connection';
  if (syscall === 'connect' || syscall === 'getaddrinfo' || code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new TransportFailure('unreachable', `it cannot be reached (${what})`);
  }
  return new TransportFailure('malformed_answer', `it gave no complete answer (${what})`);
}

/** What made it fail; where a name has several addresses, the failure of the first. */
function cause(error: unknown): SystemError {
  const inner = (error as { cause?: unknown } | null)?.cause ?? error;
  const first = inner instanceof AggregateError ? (inner.errors[0] as unknown) : inner;
  return (first ?? {}) as SystemError;
}
