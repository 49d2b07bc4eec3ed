/** What the caller gets in place of the tool's response. The words are those of `sentinel-tower`. */
import { PolicyDenied, type UncoveredReason } from '@sentinel-mcp/client';

/** A call that does not get through. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: string;
  /** How it is reported; `undefined` when it says nothing about the permit. */
  readonly reported: UncoveredReason | undefined;

  constructor(status: number, code: string, detail: string, reported?: UncoveredReason) {
    super(detail);
    this.status = status;
    this.code = code;
    this.reported = reported;
  }
}

export function unreadable(why: string): Refusal {
  return new Refusal(400, 'invalid_call', `the request cannot be read as a call: ${why}`);
}

export function tooLong(most: number): Refusal {
  return new Refusal(413, 'body_too_large', `the body has more than ${most} bytes`);
}

export function noPermit(): Refusal {
  const detail = 'the call carries no permit: call the tool through Sentinel';
  return new Refusal(403, 'no_permit', detail, 'no_permit');
}

export function unknownTool(): Refusal {
  const detail = 'the tool is not registered with Sentinel';
  return new Refusal(403, 'unknown_tool', detail, 'permit_invalid');
}

/** What the control plane said of a permit; not available for everything that is not a refusal. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof PolicyDenied && error.code !== 'invalid_arguments') {
    const detail = `the permit was refused: ${error.reason}`;
    return new Refusal(403, error.code, detail, reported(error.code));
  }
  const detail = 'the permit cannot be checked at the moment';
  return new Refusal(503, 'control_plane_unavailable', detail);
}

function reported(code: string): UncoveredReason {
  if (code === 'permit_used') return 'permit_used';
  return code === 'permit_invalid' || code === 'unknown_tool' ? 'permit_invalid' : 'permit_refused';
}

export interface Response {
  status: number;
  type: string;
  body: string;
}

/**
 * The response; to an MCP message with an `id` it is a result that says it failed, which every client survives and shows
 * to its model. Never 401 or 404, which some clients answer by sending the call again.
 */
export function responseTo({ status, code, message }: Refusal, id: unknown): Response {
  if (id !== undefined) {
    const text = `Denied: ${message}. Nothing was carried out. Do not retry. (code ${code})`;
    const result = { isError: true, content: [{ type: 'text', text }] };
    return {
      status: 200,
      type: 'application/json',
      body: JSON.stringify({ jsonrpc: '2.0', id, result }),
    };
  }
  const type = `https://sentinel-mcp.dev/problems/${code}`;
  const problem = { type, title: 'The call was refused', status, detail: message, code };
  return { status, type: 'application/problem+json', body: JSON.stringify(problem) };
}
