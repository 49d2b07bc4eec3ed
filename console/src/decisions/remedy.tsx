import { Lightbulb } from "lucide-react";
import type { ReactNode } from "react";
import type { Decision } from "@/api/decisions";
import { TextLink } from "@/ui/link";
import { href } from "@/ui/url-state";

function remedyOf({ code, tenant, tool, tool_id }: Decision): ReactNode {
  const toolPage = href("/tools/", { open: tool_id });
  switch (code) {
    case "killed":
      return (
        <>
          Nothing is allowed until the <TextLink href="/kills/">kill</TextLink> is restored or ends.
        </>
      );
    case "quota_exceeded":
    case "rate_limited":
      return (
        <>
          The <TextLink href={href("/quotas/", { tenant, tool })}>quota</TextLink> says when the
          window ends. The limit is stated by the policy.
        </>
      );
    case "policy_denied":
    case "policy_undefined":
    case "policy_malformed":
    case "unknown_obligation":
      return (
        <>
          The rules are on the <TextLink href="/policies/">policies page</TextLink>. A call for
          another purpose or by another agent may be allowed.
        </>
      );
    case "no_policy":
    case "policy_error":
    case "policy_timeout":
    case "policy_unavailable":
    case "policy_circuit_open":
      return (
        <>
          The engine gave no answer, so nothing is allowed. Its state is on the{" "}
          <TextLink href="/policies/">policies page</TextLink>.
        </>
      );
    case "unknown_tool":
    case "unknown_tenant":
      return (
        <>
          Register it on the <TextLink href={href("/tools/", { q: tool })}>tools page</TextLink>, or
          correct the name that the agent uses.
        </>
      );
    case "tool_drift":
    case "tool_unapproved":
      return (
        <>
          An operator compares the definitions and approves or rejects:{" "}
          <TextLink href={toolPage}>review it</TextLink>.
        </>
      );
    case "tool_retired":
    case "upstream_removed":
      return "The tool is gone. Register it again under another name if it is to be used.";
    case "tenant_forbidden":
    case "agent_forbidden":
    case "key_revoked":
      return (
        <>
          The call needs another key:{" "}
          <TextLink href="/access/">keys and what they are bound to</TextLink>.
        </>
      );
    case "no_permit":
      return (
        <>
          The call did not come through Sentinel: who made it is not known. The principal is the
          server that refused it. Find what has the address of the tool.
        </>
      );
    case "agent_required":
      return "The caller has to name its agent, or use a key that is bound to one.";
    case "call_id_spent":
      return "A new call needs another call_id.";
    default:
      return null;
  }
}

/** What can be done about a deny, and where. */
export function Remedy({ decision }: { decision: Decision }) {
  const remedy = remedyOf(decision);
  if (remedy === null) return null;
  return (
    <p className="flex gap-2 rounded-md border px-3 py-2">
      <Lightbulb aria-hidden className="mt-0.5 size-4 shrink-0 text-accent" />
      <span>{remedy}</span>
    </p>
  );
}
