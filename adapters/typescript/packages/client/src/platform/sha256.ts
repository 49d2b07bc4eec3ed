/**
 * SHA-256 (FIPS 180-4) for runtimes without a synchronous one: a permit is compared with what runs at the last moment,
 * and nothing may happen between the comparison and the call.
 */

const ROUND = primeRoots(64, (prime) => Math.cbrt(prime));
const START = primeRoots(8, (prime) => Math.sqrt(prime));

function primeRoots(count: number, root: (prime: number) => number): Uint32Array {
  const found = new Uint32Array(count);
  let size = 0;
  for (let candidate = 2; size < count; candidate += 1) {
    if (isPrime(candidate)) {
      found[size] = Math.floor((root(candidate) % 1) * 2 ** 32);
      size += 1;
    }
  }
  return found;
}

function isPrime(candidate: number): boolean {
  for (let factor = 2; factor * factor <= candidate; factor += 1) {
    if (candidate % factor === 0) return false;
  }
  return true;
}

/** Hex of the SHA-256 of the parts, one after the other. */
export function sha256(...parts: (string | Uint8Array)[]): string {
  const padded = pad(joined(parts));
  const state = START.slice();
  const words = new Uint32Array(64);
  for (let offset = 0; offset < padded.byteLength; offset += 64)
    block(state, words, padded, offset);
  return Array.from(state, (word) => word.toString(16).padStart(8, '0')).join('');
}

function joined(parts: (string | Uint8Array)[]): Uint8Array {
  const encoder = new TextEncoder();
  const bytes = parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : part));
  const whole = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of bytes) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function pad(bytes: Uint8Array): DataView {
  const view = new DataView(new ArrayBuffer(Math.ceil((bytes.length + 9) / 64) * 64));
  new Uint8Array(view.buffer).set(bytes);
  view.setUint8(bytes.length, 0x80);
  view.setBigUint64(view.byteLength - 8, BigInt(bytes.length) * 8n);
  return view;
}

function rotated(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function block(state: Uint32Array, words: Uint32Array, bytes: DataView, offset: number): void {
  const at = (list: Uint32Array, index: number): number => list[index] as number;
  for (let i = 0; i < 16; i += 1) words[i] = bytes.getUint32(offset + i * 4);
  for (let i = 16; i < 64; i += 1) {
    const [early, late] = [at(words, i - 15), at(words, i - 2)];
    const small = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const large = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    words[i] = at(words, i - 16) + small + at(words, i - 7) + large;
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as number[] & { length: 8 } as never as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < 64; i += 1) {
    const large = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const first = (h + large + ((e & f) ^ (~e & g)) + at(ROUND, i) + at(words, i)) | 0;
    const small = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const second = (small + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  for (const [index, word] of [a, b, c, d, e, f, g, h].entries())
    state[index] = at(state, index) + word;
}
