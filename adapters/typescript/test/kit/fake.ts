/** A control plane that is out of order, on the loopback: for faults only. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export const DECISION = '01a224f8-b16f-708b-840e-a23db05bd368';

/** A complete allow. */
export const ALLOW = {
  allow: true,
  code: 'allowed',
  reason: 'allowed by policy',
  quota_remaining: null,
  decision_id: DECISION,
  reasons: [],
  obligations: [],
  policy_revision: 'sha256:0',
};

export interface Received {
  method: string;
  path: string;
  body: string;
  headers: IncomingMessage['headers'];
}

export type Handler = (request: Received, response: ServerResponse) => void;

export interface Fake {
  url: string;
  received: Received[];
  /** The requests for this path. */
  to(path: string): Received[];
}

/** Serves until the test is over. */
export async function fake(handler: Handler): Promise<Fake> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = '', url: path = '', headers } = request;
    const one = { method, path, body: Buffer.concat(parts).toString(), headers };
    received.push(one);
    handler(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const to = (path: string) => received.filter((request) => request.path === path);
  return { url: `http://127.0.0.1:${port}`, received, to };
}

export function json(response: ServerResponse, status: number, body: unknown): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
}

/** A handler that answers checks as told, and everything else with 404. */
export function checks(answer: (response: ServerResponse, request: Received) => void): Handler {
  return (request, response) => {
    if (request.path === '/policy/check') answer(response, request);
    else json(response, 404, { status: 404, code: 'not_found', detail: 'no such route' });
  };
}

/** An address where nobody listens. */
export async function nowhere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}
