import { salt, sha256 } from '#platform';
import type { Outcome } from './call.js';
import { canonical, NotJson } from './canonical.js';

/** What is signed of an outcome: digests only. */
export interface Payload {
  outcome: Outcome;
  arguments_sha256: string;
  result_sha256: string;
  salt: string;
}

export function payload(outcome: Outcome, argumentsSha256: string, result: unknown): Payload {
  const bytes = salt();
  return {
    outcome,
    arguments_sha256: argumentsSha256,
    result_sha256: sha256(bytes, written(result)),
    salt: hex(bytes),
  };
}

/** The canonical JSON of a result, or else its text. */
function written(result: unknown): string {
  try {
    return canonical(result ?? null);
  } catch (error) {
    if (!(error instanceof NotJson)) return typeof result;
  }
  try {
    // Dates and the like have a form in JSON.
    return canonical(JSON.parse(JSON.stringify(result) ?? 'null'));
  } catch {
    return Object.prototype.toString.call(result);
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
