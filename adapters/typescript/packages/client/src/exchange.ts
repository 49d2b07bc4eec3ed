import { ControlPlaneUnavailable } from './errors.js';
import type { Settings } from './settings.js';

type Headers = Record<string, string>;

/** A response that was received completely, whatever its status. */
export interface Answer {
  status: number;
  body: string;
  isJson: boolean;
}

/** A larger body is not the control plane's. Bytes. */
const MAX_BODY = 1024 * 1024;

/** Before a connection is tried once more. */
const PAUSE_MS = 50;

/** Sends requests to one control plane, each within a deadline. */
export class Exchange {
  readonly #settings: Settings;
  readonly #headers: Headers;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#headers = {
      authorization: `Bearer ${settings.apiKey}`,
      'content-type': 'application/json',
      accept: 'application/json',
      // What is not compressed cannot expand beyond its bound.
      'accept-encoding': 'identity',
    };
  }

  /**
   * Sends a request and receives the answer, within `seconds` in total. A connection that cannot be made is tried
   * once more.
   *
   * @throws ControlPlaneUnavailable when no complete answer came.
   */
  async post(path: string, body: string, seconds: number, headers?: Headers): Promise<Answer> {
    return this.#exchange('POST', path, body, seconds, headers);
  }

  /** As `post`, without a body. */
  async get(path: string, seconds: number): Promise<Answer> {
    return this.#exchange('GET', path, undefined, seconds);
  }

  async #exchange(
    method: string,
    path: string,
    body: string | undefined,
    seconds: number,
    headers?: Headers,
  ): Promise<Answer> {
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), seconds * 1000);
    const init: RequestInit = {
      method,
      headers: headers ? { ...this.#headers, ...headers } : this.#headers,
      ...(body === undefined ? {} : { body }),
      redirect: 'manual',
      signal: deadline.signal,
    };
    try {
      return await received(await this.#send(this.#settings.url + path, init, deadline.signal));
    } catch (error) {
      if (error instanceof ControlPlaneUnavailable) throw error;
      if (deadline.signal.aborted) throw failed('timeout', `it did not answer within ${seconds} s`);
      if (isUnconnected(error))
        throw failed('unreachable', `it cannot be reached (${failure(error)})`);
      throw failed('malformed_answer', `it gave no complete answer (${failure(error)})`);
    } finally {
      clearTimeout(timer);
    }
  }

  async #send(url: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    try {
      return await this.#settings.fetch(url, init);
    } catch (error) {
      if (signal.aborted || !isUnconnected(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return await this.#settings.fetch(url, init);
    }
  }

  /** Opens a stream of events. */
  async stream(
    path: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<Response> {
    const { authorization } = this.#headers as { authorization: string };
    const headers: Record<string, string> = { authorization, accept: 'text/event-stream' };
    if (lastEventId !== undefined) headers['last-event-id'] = lastEventId;
    return this.#settings.fetch(this.#settings.url + path, { headers, redirect: 'manual', signal });
  }
}

interface SystemError {
  code?: unknown;
  syscall?: unknown;
}

/** What made `fetch` fail; where a name has several addresses, the failure of the first. */
function cause(error: unknown): SystemError {
  const inner = (error as { cause?: unknown } | null)?.cause ?? error;
  const first = inner instanceof AggregateError ? (inner.errors[0] as unknown) : inner;
  return (first ?? {}) as SystemError;
}

/** Whether no connection was made, so that nothing was sent and the request may be sent again. */
function isUnconnected(error: unknown): boolean {
  const { code, syscall } = cause(error);
  return syscall === 'connect' || syscall === 'getaddrinfo' || code === 'UND_ERR_CONNECT_TIMEOUT';
}

/** The code of a failure; its message may contain addresses. */
function failure(error: unknown): string {
  const { code } = cause(error);
  return typeof code === 'string' ? code : 'no connection';
}

function failed(code: string, reason: string): ControlPlaneUnavailable {
  return new ControlPlaneUnavailable(reason, code);
}

async function received(response: Response): Promise<Answer> {
  const { status } = response;
  // A browser hides the status of a redirect that is not followed.
  if (response.type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    await discard(response);
    throw failed('redirected', 'it answered with a redirect');
  }
  const type = response.headers.get('content-type') ?? '';
  const isJson = /^application\/(problem\+)?json\s*(;|$)/i.test(type);
  return { status, body: decoded(await bounded(response)), isJson };
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });

function decoded(bytes: Uint8Array | ArrayBuffer): string {
  try {
    return UTF_8.decode(bytes);
  } catch {
    throw failed('malformed_answer', 'its answer is not a text in UTF-8');
  }
}

async function bounded(response: Response): Promise<Uint8Array | ArrayBuffer> {
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  if (length > MAX_BODY) {
    await discard(response);
    throw tooLarge();
  }
  // The length is that of what arrives, so nothing needs counting.
  if (length >= 0 && !response.headers.has('content-encoding')) return response.arrayBuffer();
  return counted(response);
}

async function counted(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    // Leaving the loop cancels the body.
    if (size > MAX_BODY) throw tooLarge();
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function tooLarge(): ControlPlaneUnavailable {
  return failed('answer_too_large', `its answer is larger than ${MAX_BODY} bytes`);
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined);
}
