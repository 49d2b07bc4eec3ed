import type { Decision } from "@/api/decisions";

/** Quotes a text for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The request of the check. Arguments are not stored, so they are left open. */
export function asCurl(decision: Decision, origin: string): string {
  const body = {
    tenant_slug: decision.tenant,
    tool_name: decision.tool,
    action: decision.action,
    ...(decision.purpose ? { purpose: decision.purpose } : {}),
    ...(decision.agent ? { agent: decision.agent } : {}),
  };
  return [
    `curl --request POST ${quoted(`${origin}/policy/check`)} \\`,
    `  --header "authorization: Bearer $SENTINEL_API_KEY" \\`,
    `  --header 'content-type: application/json' \\`,
    `  --data ${quoted(JSON.stringify(body))}`,
  ].join("\n");
}

function regoName(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
}

/** A test of the policy that expects this decision: for `policy_test.rego`. */
export function asRegoTest(decision: Decision): string {
  const input = {
    tenant: decision.tenant,
    tool: decision.tool,
    action: decision.action,
    ...(decision.purpose ? { purpose: decision.purpose } : {}),
    ...(decision.agent ? { agent: decision.agent } : {}),
    usage: 0,
  };
  const not = decision.decision === "allow" ? "" : "not ";
  const verdict = decision.decision === "allow" ? "allowed" : "denied";
  return [
    "package sentinel.policy_test",
    "",
    "import data.sentinel.policy",
    "",
    `# Decision ${decision.id}, policy ${decision.policy_revision ?? "unknown"}. Arguments and context are not stored.`,
    `test_${regoName(decision.tool)}_is_${verdict} if {`,
    `\t${not}policy.decision.allow with input as ${JSON.stringify(input)}`,
    "}",
    "",
  ].join("\n");
}
