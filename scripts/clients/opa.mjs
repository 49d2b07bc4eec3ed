// Asks a running Sentinel by OPA's TypeScript SDK, which knows nothing of it. Reads what gateways.py
// reads; exit status 1 when an answer is not as it should be.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { OPAClient } from "@styra/opa";

const url = process.env.SENTINEL_URL;
const keys = JSON.parse(readFileSync(`${process.env.SENTINEL_DATA_DIR}/keys.json`, "utf8"));
const client = (key) => new OPAClient(url, { headers: { Authorization: `Bearer ${key}` } });

async function decisions() {
  const answer = await fetch(`${url}/v1/decisions?limit=200`, {
    headers: { Authorization: `Bearer ${keys.admin}` },
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).items;
}

const opa = client(keys.agent);
const good = {
  tenant: "platform-eng",
  tool: "langsmith-docs-search",
  action: "invoke",
  purpose: "documentation_lookup",
};
const bad = { ...good, purpose: "marketing" };
const before = (await decisions()).length;

const allow = await opa.evaluate("sentinel/policy/decision", good);
assert.deepEqual([allow.allow, allow.code], [true, "allowed"]);
const deny = await opa.evaluate("sentinel/policy/decision", bad);
assert.deepEqual([deny.allow, deny.code], [false, "policy_denied"]);
assert.deepEqual(deny.reasons.map((reason) => reason.code), ["purpose_not_allowed"]);
assert.equal(await opa.evaluate("sentinel/policy/nothing", good), undefined);
const inputs = { good, bad, unknown: { ...good, tool: "nothing" } };
const batch = await opa.evaluateBatch("sentinel/policy/allow", inputs, { fallback: true });
assert.deepEqual(batch, { good: true, bad: false, unknown: false });
await assert.rejects(client("snt_agent_unknown").evaluate("sentinel/policy/allow", good));

const recorded = (await decisions()).slice(0, 5).map((one) => one.decision).sort();
assert.equal((await decisions()).length - before, 5, "each question is recorded");
assert.deepEqual(recorded, ["allow", "allow", "deny", "deny", "deny"]);
console.log("gateways: OPA's TypeScript SDK: allow, deny, reason, undefined, batch, all recorded");
