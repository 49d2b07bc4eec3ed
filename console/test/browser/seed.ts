import { Interface } from "./interface";
import type { Keys } from "./server";

/** What the pages show in tests and pictures. */
export async function seed(origin: string, keys: Keys, _mcp: string): Promise<void> {
  const api = new Interface(origin, keys);
  await calls(api);
}

const AGENTS = ["triage", "release-notes", "support-copilot", "ledger-bot", "research"];

/** A day's work of the sample tenants, in little. */
async function calls(api: Interface): Promise<void> {
  const kinds: [tenant: string, tool: string, purpose: string][] = [
    ["platform-eng", "langsmith-docs-search", "documentation_lookup"],
    ["platform-eng", "langsmith-docs-search", "documentation_lookup"],
    ["platform-eng", "langsmith-docs-search", "marketing"],
    ["secops", "incident-response-runbook", "incident_response"],
    ["support", "customer-profile-api", "customer_support"],
    ["finops", "finance-ledger-writer", "month_end_close"],
    ["finops", "finance-ledger-writer", "reporting"],
    ["finops", "payroll-export", "month_end_close"],
  ];
  for (let round = 0; round < 12; round += 1) {
    await Promise.all(
      kinds.map(([tenant, tool, purpose], index) =>
        api.check(tenant, tool, {
          purpose,
          agent: AGENTS[(round + index) % AGENTS.length],
          arguments: { query: `case ${round}` },
        }),
      ),
    );
  }
}
