import type { Decision } from "@/api/decisions";

/** The steps of a check, in their order. */
export const STEPS = ["caller", "tool", "kill", "policy", "quota"] as const;
export type Step = (typeof STEPS)[number];

type Code = Decision["code"];

/** Where each reason code stops a call. */
const STOPPED_AT: Record<Exclude<Code, "allowed" | "call_id_spent">, Step> = {
  tenant_forbidden: "caller",
  agent_forbidden: "caller",
  agent_required: "caller",
  key_revoked: "caller",
  no_permit: "caller",
  unknown_tenant: "tool",
  unknown_tool: "tool",
  tool_retired: "tool",
  tool_drift: "tool",
  tool_unapproved: "tool",
  upstream_removed: "tool",
  killed: "kill",
  policy_denied: "policy",
  no_policy: "policy",
  policy_undefined: "policy",
  policy_error: "policy",
  policy_timeout: "policy",
  policy_malformed: "policy",
  unknown_obligation: "policy",
  policy_unavailable: "policy",
  policy_circuit_open: "policy",
  quota_exceeded: "quota",
  rate_limited: "quota",
  rate_limiter_unavailable: "quota",
};

export type Outcome = "passed" | "stopped" | "not_reached" | "unknown";

/**
 * How a call fared at each step. A step is passed only when a later one is known to have been
 * reached; with a code of a later version nothing is known.
 */
export function outcomes(decision: { decision: string; code: string }): Record<Step, Outcome> {
  const all = (outcome: Outcome) =>
    Object.fromEntries(STEPS.map((step) => [step, outcome])) as Record<Step, Outcome>;
  if (decision.decision === "allow" && decision.code === "allowed") return all("passed");
  const stopped = (STOPPED_AT as Record<string, Step | undefined>)[decision.code];
  if (stopped === undefined) return all("unknown");
  const at = STEPS.indexOf(stopped);
  return Object.fromEntries(
    STEPS.map((step, index) => [
      step,
      index < at ? "passed" : index === at ? "stopped" : "not_reached",
    ]),
  ) as Record<Step, Outcome>;
}

/** What a reason code means: docs/reason-codes.md, which a test compares. */
export const MEANINGS: Record<Code, string> = {
  allowed: "Policy allows the call and the quota has room.",
  policy_denied: "Policy denies; `reasons` says why.",
  quota_exceeded: "The quota of the window is used up.",
  rate_limited:
    "A rate limit leaves no room at the moment; `reason` says which, and when to try again.",
  rate_limiter_unavailable: "A rate limit applies and cannot be counted at the moment.",
  call_id_spent:
    "The allow of this `call_id` cannot be repeated: its permit was used or has expired. A new call needs another `call_id`.",
  killed: "A kill covers the call.",
  unknown_tenant: "No such tenant.",
  unknown_tool: "The tenant has no such tool.",
  tool_retired: "The tool is retired.",
  tool_drift:
    "The definition of the tool has changed, and an operator has not approved the new one.",
  tool_unapproved:
    "The tool is new, and the configuration demands that an operator approves it first.",
  upstream_removed: "The tool belongs to an upstream that was removed.",
  tenant_forbidden: "The caller's key is bound to another tenant.",
  agent_forbidden: "The caller's key is bound to another agent.",
  agent_required: "The call names no agent, and the configuration or the policy demands one.",
  key_revoked: "The caller's key was revoked while the check was under way.",
  no_permit:
    "The tool was called without a valid permit. Its server refused the call and reported it.",
  no_policy: "No policy is loaded.",
  policy_undefined: "The policy has no answer for this input.",
  policy_error: "The policy failed while it was evaluated.",
  policy_timeout: "The policy took longer than its limit.",
  policy_malformed: "The policy's answer is not a decision document.",
  unknown_obligation: "The policy demands an obligation that this version cannot fulfil.",
  policy_unavailable: "The remote policy engine cannot be reached, or broke off its answer.",
  policy_circuit_open:
    "The remote policy engine failed several times in a row and is not asked for a moment.",
};

export const CODES = Object.keys(MEANINGS) as Code[];
