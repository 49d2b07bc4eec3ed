import { expect, it } from "vitest";
import { Problem } from "@/api/problem";
import { verdictOf } from "./switch-state";

const now = Date.parse("2026-11-29T12:00:00Z");
const passed = (at: string) => ({
  ready: true,
  problem: null,
  selfTest: { outcome: "passed", at, passed_at: at },
});

it("calls the switch working only after a recent test that passed", () => {
  expect(verdictOf(passed("2026-11-29T11:59:30Z"), null, now).tone).toBe("allow");
  expect(verdictOf(passed("2026-11-29T11:00:00Z"), null, now).tone).toBe("warn");
  expect(verdictOf(passed("never"), null, now).tone).toBe("warn");
});

it("never shows it as working when it is not known to", () => {
  const failed = new Problem(503, "kill_switch_failed", "t", "a kill did not stop a call");
  const states = [
    verdictOf(undefined, new Error("offline"), now),
    verdictOf(passed("2026-11-29T11:59:30Z"), Problem.unreachable(null), now),
    verdictOf({ ready: false, problem: failed, selfTest: null }, null, now),
    verdictOf({ ready: true, problem: null, selfTest: null }, null, now),
    verdictOf(undefined, null, now),
    verdictOf(
      {
        ready: true,
        problem: null,
        selfTest: { outcome: "failed", at: "2026-11-29T11:59:30Z", passed_at: null },
      },
      null,
      now,
    ),
  ];
  expect(states.filter(({ tone }) => tone === "allow")).toEqual([]);
});
