/** The words by which a model learns that a call was not made. */

interface Words {
  lead: string;
  /** Whether and when to repeat the call. */
  again: string;
  /** What helps. */
  remedy: string;
}

const NEVER = 'Repeating this call will not help: do not retry it.';
const LATER = 'Do not retry at once.';

const stays = (lead: string, remedy: string): Words => ({ lead, again: NEVER, remedy });
const passes = (lead: string, remedy: string): Words => ({ lead, again: LATER, remedy });

const ADMINISTRATOR = 'Tell the user: an administrator has to look at the policy.';
const SOON = 'It may work in a minute; go on with something else until then.';
const LIST = 'Use a tool of the current list.';
const KEY = 'Tell the user: the key of this client does not permit it.';
const REVIEW = 'Go on without this tool, or ask the user to have an operator review it.';

const WORDS: Record<string, Words> = {
  policy_denied: stays(
    'Denied by policy',
    'Take another way that the policy allows, or ask the user to have it changed.',
  ),
  no_policy: stays('Denied because no policy is loaded', ADMINISTRATOR),
  policy_undefined: stays('Denied because the policy does not cover it', ADMINISTRATOR),
  policy_error: stays('Denied because the policy failed', ADMINISTRATOR),
  policy_malformed: stays('Denied because the policy gave no decision', ADMINISTRATOR),
  unknown_obligation: stays('Denied because of a condition that cannot be met', ADMINISTRATOR),
  policy_timeout: passes(
    'Denied because the policy took too long',
    'Simpler arguments may help; else tell the user.',
  ),
  policy_unavailable: passes('Denied because the policy cannot be asked at the moment', SOON),
  policy_circuit_open: passes('Denied because the policy cannot be asked at the moment', SOON),
  quota_exceeded: passes(
    'Denied by a quota',
    'Go on without this tool, or ask the user to have the quota raised.',
  ),
  rate_limited: passes('Denied by a rate limit', 'Make fewer calls of this tool.'),
  rate_limiter_unavailable: passes(
    'Denied because a rate limit cannot be counted at the moment',
    SOON,
  ),
  killed: stays(
    'Stopped by an operator',
    'Stop this line of work and tell the user; only an operator can lift it.',
  ),
  unknown_tool: stays('Denied because the tool is not registered', LIST),
  tool_retired: stays('Denied because the tool was retired', LIST),
  upstream_removed: stays('Denied because the server of the tool was removed', LIST),
  unknown_tenant: stays('Denied because the tenant is not known', KEY),
  tenant_forbidden: stays('Denied to this key', KEY),
  agent_forbidden: stays('Denied to this key', KEY),
  key_revoked: stays('Denied because the key was revoked', KEY),
  no_permit: stays(
    'Denied because the call bypassed Sentinel',
    'Tell the user: the tool can be called only through Sentinel.',
  ),
  agent_required: stays(
    'Denied because the call names no agent',
    'Tell the user: the client has to be configured with the name of its agent.',
  ),
  tool_drift: stays('Denied because the tool has changed since it was approved', REVIEW),
  tool_unapproved: stays('Denied because the tool is not approved yet', REVIEW),
  call_id_spent: stays(
    'Denied because this call was made before',
    'Use the result of the first call.',
  ),
  call_id_conflict: stays(
    'Denied because another call was made under its identifier',
    'Tell the user: the identifiers of calls are not unique.',
  ),
  arguments_changed: stays(
    'Denied because the arguments changed after they were decided',
    'Tell the user: something in the agent changes calls after they were allowed.',
  ),
  invalid_arguments: stays('Denied because the arguments are malformed', 'Correct the arguments.'),
  ungoverned_tool: stays('Denied because the tool is not governed', LIST),
  spool_full: stays(
    'Denied because no more signatures can be kept',
    'Tell the user: Sentinel has not signed for a while, and its spool is full.',
  ),
};

const OTHER = stays('Denied', 'Go on without it, or ask a person who administers Sentinel.');

/** Words by which frameworks recognise other failures than a deny, and act on that. */
const AVOIDED: [RegExp, string][] = [
  [/not found/gi, 'missing'],
  [/unauthorized/gi, 'not permitted'],
  [/authentication/gi, 'sign-in'],
];
const MAX_REASON = 600;
const MAX_CODE = 100;

/** The text for a denial. */
export function denied(reason: string, code: string, decisionId: string | undefined): string {
  const { lead, again, remedy } = WORDS[code] ?? OTHER;
  const decision = decisionId === undefined ? '' : `, decision ${plain(decisionId, MAX_CODE)}`;
  return `${lead}: ${plain(reason)}. ${again} ${remedy} (code ${plain(code, MAX_CODE)}${decision})`;
}

/** The text for a call that could not be decided. */
export function unavailable(reason: string, code: string): string {
  const why = plain(reason);
  return `Denied because Sentinel could not decide it: ${why}. The tool was not run. ${LATER} ${SOON} (code ${plain(code, MAX_CODE)})`;
}

/** A text of others on one line, bounded, without words that are misread, and without a full stop. */
export function plain(text: string, longest = MAX_REASON): string {
  let line = text
    .replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
    .slice(0, longest)
    .toWellFormed();
  // Replacing one may bring about another.
  for (let before = ''; before !== line; ) {
    before = line;
    for (const [word, instead] of AVOIDED) line = line.replace(word, instead);
  }
  return line.trim().replace(/\.+$/, '');
}
