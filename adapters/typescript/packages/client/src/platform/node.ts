/** What the client takes from Node, and from nothing else: see `browser.ts` for the same elsewhere. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

export { defaultTransport } from '../transport/node.js';
export { randomUUID };

/** Hex of the SHA-256 of the parts, one after the other. */
export function sha256(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

export function salt(): Uint8Array {
  return randomBytes(32);
}

export function environment(name: string): string | undefined {
  return process.env[name] || undefined;
}

interface SentRequest {
  request?: { path?: unknown };
  socket?: Socket;
}

let detaching = false;

/**
 * Keeps an open event stream from keeping the process alive. `fetch` offers no way to say so, but Node tells which
 * socket a request was sent on.
 */
export function detachEventStreams(): void {
  if (detaching) return;
  detaching = true;
  subscribe('undici:client:sendHeaders', (message) => {
    const { request, socket } = message as SentRequest;
    if (typeof request?.path === 'string' && request.path.includes('/v1/events?')) socket?.unref();
  });
}

/** Keeps a timer from keeping the process alive. */
export function detach(timer: ReturnType<typeof setTimeout>): void {
  (timer as { unref?: () => void }).unref?.();
}
