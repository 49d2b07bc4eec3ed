/** The same as `node.ts` for browsers and other runtimes, by the standards of the web alone. */
import { byFetch } from '../transport/fetch.js';
import type { Transport } from '../transport/transport.js';
import { sha256 as digest } from './sha256.js';

export function defaultTransport(url: string): Transport {
  // Looked up for each request, so that what replaces the global one later is used.
  return byFetch(url, (input, init) => globalThis.fetch(input, init));
}

export function randomUUID(): string {
  return crypto.randomUUID();
}

export function sha256(...parts: (string | Uint8Array)[]): string {
  return digest(...parts);
}

export function salt(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

export function environment(_name: string): string | undefined {
  return undefined;
}

export function detachEventStreams(): void {}

export function detach(_timer: ReturnType<typeof setTimeout>): void {}
