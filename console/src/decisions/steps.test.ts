import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Decision } from "@/api/decisions";
import { asCurl, asRegoTest } from "./commands";
import { CODES, MEANINGS, outcomes } from "./steps";

describe("reason codes", () => {
  it("mean what docs/reason-codes.md says", () => {
    const page = readFileSync(`${__dirname}/../../../docs/reason-codes.md`, "utf8");
    const documented = Object.fromEntries(
      [...page.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, code, meaning]) => [code, meaning]),
    );
    expect(MEANINGS).toEqual(documented);
  });

  it("each deny is stopped at one step, behind which nothing was reached", () => {
    for (const code of CODES.filter((each) => each !== "allowed" && each !== "call_id_spent")) {
      const steps = Object.values(outcomes({ decision: "deny", code }));
      const at = steps.indexOf("stopped");
      expect(steps.slice(0, at).every((step) => step === "passed")).toBe(true);
      expect(at >= 0 && steps.slice(at + 1).every((step) => step === "not_reached")).toBe(true);
    }
  });

  it("shows nothing as passed when it is not known", () => {
    for (const decision of [
      { decision: "deny", code: "of_a_later_version" },
      { decision: "deny", code: "allowed" },
      { decision: "allow", code: "killed" },
    ]) {
      expect(Object.values(outcomes(decision)).slice(-1)).not.toEqual(["passed"]);
    }
    expect(new Set(Object.values(outcomes({ decision: "deny", code: "x" })))).toEqual(
      new Set(["unknown"]),
    );
  });
});

describe("commands", () => {
  const decision = {
    id: "d",
    tenant: "o'brien",
    tool: "web-search",
    action: "invoke",
    decision: "deny",
    purpose: "research",
    agent: null,
    policy_revision: "sha256:1",
  } as unknown as Decision;

  it("quote what a caller chose", () => {
    expect(asCurl(decision, "https://s")).toContain(`"o'\\''brien"`);
    expect(asCurl(decision, "https://s")).not.toContain("agent");
  });

  it("test the policy for the same decision", () => {
    expect(asRegoTest(decision)).toContain(
      "test_web_search_is_denied if {\n\tnot policy.decision.allow with input as",
    );
  });
});
