import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Arguments, parseStrictly } from '@sentinel-mcp/client';
import { type Call, type Calls, read } from './call.js';
import { Gate, type PermitOptions, type Redeemed } from './gate.js';
import { refusalOf, responseTo, tooLong, unreadable } from './refusal.js';

/** The header that carries a permit, in the lower case of Node. */
const HEADER = 'sentinel-permit';
/** Bytes of the longest body that is read. */
const MAX_BODY = 1024 * 1024;

/** A request after a body parser such as `express.json()`, and after this middleware. */
export type PermitRequest = IncomingMessage & {
  body?: unknown;
  originalUrl?: string;
  sentinel?: Redeemed;
};

type Next = (error?: unknown) => void;

/**
 * Middleware for Express that refuses a call without a valid, unused permit for this tool and these arguments:
 *
 *     app.post('/search', express.json(), permitRequired({ tool: 'search' }), handler);
 *     app.use('/mcp', express.json(), permitRequired({ mcp: {} }), handler);
 */
export function permitRequired(
  options: PermitOptions & Calls,
): (request: PermitRequest, response: ServerResponse, next: Next) => Promise<void> {
  const gate = new Gate(options);
  return async (request, response, next) => {
    let call: Call | undefined;
    try {
      call = read(
        options,
        { method: request.method, url: request.originalUrl ?? request.url },
        parsed(request),
      );
      if (call) request.sentinel = await gate.redeem(permitOf(request, call), call);
    } catch (error) {
      return refuse(response, error, call?.id);
    }
    next();
  };
}

/** The permit of a call: in the header, or in the message. @throws Refusal when it is in both. */
function permitOf({ headers }: IncomingMessage, { permit }: Call): string | string[] | undefined {
  const header = headers[HEADER];
  if (header !== undefined && permit !== undefined) throw unreadable('it carries two permits');
  return header ?? permit;
}

/** The body as the parser before this middleware left it. */
function parsed({ body, headers }: PermitRequest): unknown {
  if (body !== undefined) return body;
  const isEmpty = headers['transfer-encoding'] === undefined && !Number(headers['content-length']);
  // A handler that reads the body later would see arguments that nobody checked.
  if (!isEmpty) throw unreadable('the body was not parsed before the permit is checked');
  return undefined;
}

/**
 * The same for plain `node:http`. It reads the body, and hands the arguments on:
 *
 *     createServer(permitted({ tool: 'search' }, (args, request, response) => …));
 */
export function permitted(
  options: PermitOptions & { tool: string },
  handler: (
    args: Arguments,
    request: IncomingMessage & { sentinel: Redeemed },
    response: ServerResponse,
  ) => unknown,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const gate = new Gate(options);
  return async (request, response) => {
    let call: Call;
    let redeemed: Redeemed;
    try {
      call = read({ tool: options.tool }, request, await body(request)) as Call;
      redeemed = await gate.redeem(request.headers[HEADER], call);
    } catch (error) {
      return refuse(response, error, undefined);
    }
    await handler(call.arguments, Object.assign(request, { sentinel: redeemed }), response);
  };
}

async function body(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw tooLong(MAX_BODY);
    parts.push(part);
  }
  if (size === 0) return undefined;
  try {
    return parseStrictly(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)));
  } catch {
    throw unreadable('the body is not strict JSON');
  }
}

function refuse(response: ServerResponse, error: unknown, id: unknown): void {
  const { status, type, body } = responseTo(refusalOf(error), id);
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
