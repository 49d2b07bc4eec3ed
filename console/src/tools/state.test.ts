import { expect, it } from "vitest";
import type { Tool } from "@/api/tools";
import { fitsTool, shownHealth, shownState, stateOf } from "./state";

const tool = (more: Partial<Tool> = {}) =>
  ({
    name: "x",
    tenant_slug: "t",
    owner: "o",
    url: "u",
    scopes: ["a:b"],
    metadata: {},
    is_active: true,
    ...more,
  }) as Tool;

it("shows a tool as active only when that is confirmed", () => {
  expect(shownState(tool(), true).tone).toBe("allow");
  expect(shownState(tool(), false).tone).toBe("hollow");
  const quarantine = { cause: "changed", since: "2026-11-29T00:00:00Z" };
  for (const stopped of [
    tool({ is_active: false }),
    tool({ retired_at: "2026-11-29T00:00:00Z" }),
    tool({ pin: { upstream_id: "u", quarantine } }),
  ]) {
    expect(shownState(stopped, true).tone).not.toBe("allow");
  }
});

it("shows a tool as healthy only after a check that said so", () => {
  const health = (status: string) =>
    tool({ health: { status, checked_at: "", latency_ms: 1 } as never });
  expect(
    [
      tool(),
      tool({ healthcheck: "https://h" }),
      health("unhealthy"),
      health("refused"),
      health("later"),
    ].map((each) => shownHealth(each).tone),
  ).not.toContain("allow");
  expect(shownHealth(health("healthy")).tone).toBe("allow");
});

it("finds tools by everything that is registered of them", () => {
  const all = { text: "", tenant: "", state: "", health: "" };
  expect(fitsTool(tool(), { ...all, text: "A:B t" })).toBe(true);
  expect(fitsTool(tool(), { ...all, tenant: "other" })).toBe(false);
  expect(fitsTool(tool({ retired_at: "x" }), all)).toBe(false);
  expect(stateOf(tool({ retired_at: "x", is_active: false }))).toBe("retired");
});
