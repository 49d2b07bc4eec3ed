import { denied, unavailable } from './words.js';

/** A tool did not run because of Sentinel. The message is the text for the model. */
export abstract class SentinelError extends Error {
  /** Why, for people. */
  readonly reason: string;
  /** Why, for programs; stable. */
  readonly code: string;
  /** The recorded decision, where there is one. */
  readonly decisionId: string | undefined;

  constructor(message: string, reason: string, code: string, decisionId?: string) {
    super(message);
    this.reason = reason;
    this.code = code;
    this.decisionId = decisionId;
  }

  /** The text for the model: the decision first, then whether to retry, and what may help. */
  get modelMessage(): string {
    return this.message;
  }
}

/**
 * The call was denied: by the control plane, or by a kill that is known here.
 *
 * `code` is one of docs/reason-codes.md, the code of a refusal of the control plane, or one of `arguments_changed`,
 * `invalid_arguments`, `spool_full`, `ticket_spent` and `ungoverned_tool`.
 */
export class PolicyDenied extends SentinelError {
  override readonly name = 'PolicyDenied';

  constructor(reason: string, code: string, decisionId?: string) {
    super(denied(reason, code, decisionId), reason, code, decisionId);
  }
}

/**
 * There is no decision, so the tool was not run.
 *
 * `code` is one of `unreachable`, `timeout`, `server_error`, `redirected`, `malformed_answer`, `answer_too_large`,
 * `key_refused`, `throttled` and `not_configured`.
 */
export class ControlPlaneUnavailable extends SentinelError {
  override readonly name = 'ControlPlaneUnavailable';

  constructor(reason: string, code: string) {
    super(unavailable(reason, code), reason, code);
  }
}
