import { type Call, DEFAULT_ACTION } from './call.js';
import { ControlPlaneUnavailable, PolicyDenied, type SentinelError } from './errors.js';
import type { Answer } from './exchange.js';
import type { components } from './generated/openapi.js';
import { parseStrictly } from './strict.js';

type CheckRequest = components['schemas']['CheckRequest'];
type Document = Record<string, unknown>;

/** An allow, as the control plane recorded it. */
export interface Decision {
  readonly decisionId: string;
  readonly reason: string;
  readonly obligations: readonly Record<string, unknown>[];
  readonly quotaRemaining: number | undefined;
  readonly policyRevision: string | undefined;
  readonly permit: string | undefined;
  readonly toolId: string | undefined;
}

/** What policy may attach to an allow: an alert asks for nothing, and Sentinel itself sees to the others. */
const KNOWN_OBLIGATIONS = new Set<unknown>(['alert', 'rate_limit', 'require_agent']);
/** Refusals of the request, and not of the call: patience, size, number of requests. */
const NOT_DECIDED = new Set([407, 408, 421, 425, 429]);
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CODE = /^[a-z][a-z0-9_]{0,99}$/;

/** The body of `POST /policy/check`. `canonical` is the text of the call's arguments. */
export function checkRequest(
  call: Call,
  tenant: string,
  agent: string | undefined,
  canonical: string,
): string {
  const request: CheckRequest = {
    tenant_slug: tenant,
    tool_name: call.tool,
    action: call.action ?? DEFAULT_ACTION,
    purpose: call.purpose,
    agent,
    context: call.context as Record<string, never> | undefined,
    call_id: call.callId,
  };
  // The arguments are written once, so that what is decided is what was hashed.
  return `${JSON.stringify(request).slice(0, -1)},"arguments":${canonical}}`;
}

/**
 * Reads the answer to a check. Only a complete answer that says `"allow": true` returns.
 *
 * @throws PolicyDenied when the control plane decided so or refused the call; ControlPlaneUnavailable for anything
 * else.
 */
export function allowed(answer: Answer): Decision {
  if (answer.status !== 200) throw refusal(answer);
  const body = document(answer);
  if (body['allow'] === false) throw denied(body, undefined);
  if (body['allow'] !== true) throw malformed('`allow` is neither true nor false');
  if (body['code'] !== 'allowed') throw malformed('`allow` and `code` contradict each other');
  const decisionId = uuid(body, 'decision_id');
  objects(body, 'reasons');
  return {
    decisionId,
    reason: text(body, 'reason'),
    obligations: obligations(body, decisionId),
    quotaRemaining: optional(body, 'quota_remaining', count),
    policyRevision: optional(body, 'policy_revision', text),
    permit: optional(body, 'permit', text),
    toolId: optional(body, 'tool_id', uuid),
  };
}

/** The identifier of a new manifest. */
export function manifestId(answer: Answer): string {
  if (answer.status !== 201) throw refusal(answer);
  return uuid(document(answer), 'manifest_id');
}

/** The decision that an answer confirms, with `field` true. */
export function confirmed(answer: Answer, field: 'redeemed' | 'resumed'): string {
  if (answer.status !== 200) throw refusal(answer);
  const body = document(answer);
  if (body[field] !== true) throw malformed(`\`${field}\` is not true`);
  return uuid(body, 'decision_id');
}

/** One page of `GET /v1/tools`. */
export function toolPage(answer: Answer): {
  tools: { name: string; id: string }[];
  next: string | undefined;
} {
  if (answer.status !== 200) throw refusal(answer);
  const body = document(answer);
  const tools = objects(body, 'items').map((tool) => ({
    name: text(tool, 'name'),
    id: uuid(tool, 'id'),
  }));
  return { tools, next: optional(body, 'next_cursor', text) };
}

/** The error of an answer whose status is not the expected one. */
function refusal(answer: Answer): SentinelError {
  const { status } = answer;
  if (status >= 500) return new ControlPlaneUnavailable(problem(answer), 'server_error');
  if (status === 401) {
    return new ControlPlaneUnavailable('it does not accept the key of this client', 'key_refused');
  }
  if (NOT_DECIDED.has(status)) return new ControlPlaneUnavailable(problem(answer), 'throttled');
  if (status < 400) return malformed(`the status is ${status}`);
  return denied(document(answer), status);
}

/** The error of a deny, or of a problem document with this status. */
function denied(body: Document, status: number | undefined): SentinelError {
  const { code, allow } = body;
  if (typeof code !== 'string' || !CODE.test(code) || code === 'allowed') {
    return malformed('`code` is not the code of a denial');
  }
  if (status !== undefined && body['status'] !== status) {
    return malformed('`status` is not the status of the answer');
  }
  if (allow !== undefined && allow !== null && allow !== false) {
    return malformed('`allow` and the status contradict each other');
  }
  const reason = text(body, status === undefined ? 'reason' : 'detail');
  const decisionId =
    status === undefined ? uuid(body, 'decision_id') : optional(body, 'decision_id', uuid);
  return new PolicyDenied(reason, code, decisionId);
}

function obligations(body: Document, decisionId: string): Document[] {
  const found = objects(body, 'obligations');
  for (const { type } of found) {
    if (KNOWN_OBLIGATIONS.has(type)) continue;
    const reason = 'the policy attaches an obligation that this client does not know';
    throw new PolicyDenied(reason, 'unknown_obligation', decisionId);
  }
  return found;
}

function document(answer: Answer): Document {
  if (!answer.isJson) throw malformed('it is not declared as JSON');
  let body: unknown;
  try {
    body = parseStrictly(answer.body);
  } catch {
    throw malformed('it is not JSON, or a key occurs twice');
  }
  if (!isObject(body)) throw malformed('it is not an object');
  return body;
}

function isObject(value: unknown): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(body: Document, field: string): string {
  const value = body[field];
  if (typeof value !== 'string') throw malformed(`\`${field}\` is not a text`);
  return value;
}

function uuid(body: Document, field: string): string {
  const value = text(body, field);
  if (!UUID.test(value)) throw malformed(`\`${field}\` is not a UUID`);
  return value;
}

function count(body: Document, field: string): number {
  const value = body[field];
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw malformed(`\`${field}\` is not a count`);
  }
  return value as number;
}

function objects(body: Document, field: string): Document[] {
  const value = body[field];
  if (!Array.isArray(value) || !value.every(isObject)) {
    throw malformed(`\`${field}\` is not a list of objects`);
  }
  return value;
}

function optional<T>(
  body: Document,
  field: string,
  read: (body: Document, field: string) => T,
): T | undefined {
  return body[field] === undefined || body[field] === null ? undefined : read(body, field);
}

function problem(answer: Answer): string {
  let code: unknown;
  try {
    code = document(answer)['code'];
  } catch {
    // The status is all that is known.
  }
  const known = typeof code === 'string' && CODE.test(code) ? `, \`${code}\`` : '';
  return `it answered with the status ${answer.status}${known}`;
}

function malformed(what: string): ControlPlaneUnavailable {
  return new ControlPlaneUnavailable(`its answer cannot be relied on: ${what}`, 'malformed_answer');
}
