import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Arguments, PolicyDenied, parseStrictly } from '@sentinel-mcp/client';
import { type Called, PermitGate, type PermitOptions, problem, type Redeemed } from './gate.js';

/** The header that carries a permit, in the lower case of Node. */
const HEADER = 'sentinel-permit';
/** A larger body of a tool call is refused. Bytes. */
const MAX_BODY = 1024 * 1024;

/** A request after a body parser such as `express.json()`, and after this middleware. */
export type PermitRequest = IncomingMessage & { body?: unknown; sentinel?: Redeemed };

type Next = (error?: unknown) => void;
type Handler = (request: PermitRequest, response: ServerResponse, next: Next) => Promise<void>;

/**
 * Middleware for Express that refuses a call without a valid, unused permit for this tool and these arguments:
 *
 *     app.post('/search', express.json(), permitRequired({ tool: 'search' }), handler);
 *
 * The arguments are the parsed body, unless `call` reads them, and the tool, from elsewhere.
 */
export function permitRequired<R extends IncomingMessage = PermitRequest>(
  options: PermitOptions & ({ tool: string } | { call: (request: R) => Called }),
): Handler {
  const gate = new PermitGate(options);
  const called = (request: PermitRequest): Called =>
    'call' in options
      ? options.call(request as unknown as R)
      : { tool: options.tool, arguments: parsed(request) };
  return async (request, response, next) => {
    try {
      request.sentinel = await gate.redeem(request.headers[HEADER], called(request));
    } catch (error) {
      return refuse(response, error);
    }
    next();
  };
}

function parsed(request: PermitRequest): Arguments {
  const { body, headers } = request;
  if (body === undefined) {
    const isEmpty =
      headers['transfer-encoding'] === undefined && !Number(headers['content-length']);
    // A handler that reads the body later would see arguments that nobody checked.
    if (isEmpty) return {};
    throw new PolicyDenied(
      'the body was not read before the permit was checked',
      'invalid_arguments',
    );
  }
  return asArguments(body);
}

function asArguments(value: unknown): Arguments {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Arguments;
  throw new PolicyDenied('the arguments are not an object', 'invalid_arguments');
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
  const gate = new PermitGate(options);
  return async (request, response) => {
    let args: Arguments;
    let redeemed: Redeemed;
    try {
      args = await read(request);
      redeemed = await gate.redeem(request.headers[HEADER], {
        tool: options.tool,
        arguments: args,
      });
    } catch (error) {
      return refuse(response, error);
    }
    await handler(args, Object.assign(request, { sentinel: redeemed }), response);
  };
}

async function read(request: IncomingMessage): Promise<Arguments> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new PolicyDenied('the body is too large', 'invalid_arguments');
    parts.push(part);
  }
  if (size === 0) return {};
  return asArguments(json(Buffer.concat(parts)));
}

function json(body: Buffer): unknown {
  try {
    return parseStrictly(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new PolicyDenied('the body is not JSON', 'invalid_arguments');
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, body } = problem(error);
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(body);
}
