/**
 * Requests by `node:http`. A `fetch` of Node takes four to five times the processor time of such a request, which is
 * most of what a governed call costs.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import {
  failureOf,
  MAX_BODY,
  type Received,
  redirected,
  type Transport,
  TransportFailure,
  tooLarge,
} from './transport.js';

/** Idle connections are closed before the control plane closes them, so that none is used while it does. */
const IDLE_MS = 4_000;

export function defaultTransport(url: string): Transport {
  const { protocol, hostname, port, pathname } = new URL(url);
  const { request, Agent } = protocol === 'https:' ? https : http;
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS });
  const base = {
    agent,
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
  };
  const prefix = pathname.replace(/\/+$/, '');
  return ({ method, path, headers, body }, deadline) =>
    new Promise<Received>((resolve, reject) => {
      const length =
        body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
      const options = { ...base, method, path: prefix + path, headers: { ...headers, ...length } };
      const sent = request(options);
      const done = deadline.onEnd(() => sent.destroy());
      const fail = (error: unknown) => {
        done();
        sent.destroy();
        reject(failureOf(error));
      };
      sent.on('error', fail);
      sent.on('response', (response) => {
        receive(response, fail, (received) => {
          done();
          resolve(received);
        });
      });
      sent.end(body);
    });
}

function receive(
  response: http.IncomingMessage,
  fail: (error: unknown) => void,
  done: (received: Received) => void,
): void {
  const { statusCode: status = 0, headers } = response;
  if (status >= 300 && status < 400) fail(redirected());
  else if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    // It was not asked for, and could expand beyond the bound.
    fail(new TransportFailure('malformed_answer', 'its answer is compressed'));
  } else if (Number(headers['content-length'] ?? 0) > MAX_BODY) fail(tooLarge());
  const parts: Buffer[] = [];
  let size = 0;
  response.on('data', (part: Buffer) => {
    size += part.length;
    if (size > MAX_BODY) fail(tooLarge());
    else parts.push(part);
  });
  response.on('error', fail);
  response.on('end', () => {
    if (!response.complete)
      return fail(new TransportFailure('malformed_answer', 'its answer broke off'));
    const [only] = parts;
    const body = parts.length === 1 && only ? only : Buffer.concat(parts);
    done({ status, type: headers['content-type'] ?? '', body });
  });
}
