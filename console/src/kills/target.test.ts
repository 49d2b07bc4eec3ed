import { describe, expect, it } from "vitest";
import type { Kill } from "@/api/kills";
import type { Tool } from "@/api/tools";
import { timesOf, WITHOUT_SCHEDULE } from "./schedule";
import {
  asRequest,
  coversTool,
  isComplete,
  isWider,
  KINDS,
  phrase,
  readTarget,
  type Target,
  targetOf,
  writeTarget,
} from "./target";

const tool = {
  tenant_slug: "finops",
  name: "ledger",
  scopes: ["ledger:write"],
  metadata: { tags: ["PCI"] },
} as unknown as Tool;
const of = (kind: Target["kind"], tenant = "", name = ""): Target => ({ kind, tenant, name });

describe("a target", () => {
  it("is named in full before anything is stopped", () => {
    expect(phrase(of("tool", "finops", "ledger"))).toBe("finops/ledger");
    expect(phrase(of("agent", "", " triage "))).toBe("triage");
    expect(phrase(of("global", "finops", "ledger"))).toBe("everything");
    expect(isComplete(of("tool", "finops"))).toBe(false);
    expect(isComplete(of("tool", "", "ledger"))).toBe(false);
    expect(isComplete(of("agent", "", "triage"))).toBe(true);
  });

  it("becomes the fields of the request, never more than it names", () => {
    const times = { startsAt: null, expiresAt: new Date("2026-12-01T00:00:00Z") };
    expect(asRequest(of("tool", "finops", "ledger"), " x ", times)).toEqual({
      tenant_slug: "finops",
      tool_name: "ledger",
      reason: "x",
      expires_at: "2026-12-01T00:00:00.000Z",
    });
    const now = { startsAt: null, expiresAt: null };
    expect(asRequest(of("global", "finops", "ledger"), "x", now)).toEqual({
      scope: "global",
      reason: "x",
    });
    expect(asRequest(of("tenant", "finops", "ledger"), "x", now)).toEqual({
      tenant_slug: "finops",
      reason: "x",
    });
  });

  it("survives the address", () => {
    for (const kind of KINDS) {
      const target = of(
        kind,
        kind === "global" ? "" : "finops",
        kind === "tenant" || kind === "global" ? "" : "n",
      );
      const query = new URLSearchParams();
      for (const [name, value] of Object.entries(writeTarget(target)))
        if (value) query.set(name, value);
      expect(readTarget(query)).toEqual(target);
    }
  });

  it("covers tools as the server does", () => {
    expect(coversTool(of("tool_tag", "", "pci"), tool)).toBe(true);
    expect(coversTool(of("tool_scope", "finops", "LEDGER:WRITE"), tool)).toBe(true);
    expect(coversTool(of("tool_scope", "secops", "ledger:write"), tool)).toBe(false);
    expect(coversTool(of("tool", "finops", "ledger2"), tool)).toBe(false);
    expect(coversTool(of("global"), tool)).toBe(true);
  });

  it("knows what a wider kill is", () => {
    const target = of("tool", "finops", "ledger");
    for (const wider of [of("global"), of("tenant", "finops"), of("tool_tag", "", "pci")]) {
      expect(isWider(wider, target, [tool])).toBe(true);
    }
    for (const other of [of("tenant", "secops"), of("agent", "", "triage"), target]) {
      expect(isWider(other, target, [tool])).toBe(false);
    }
    expect(isWider(of("agent", "", "a"), of("agent", "finops", "A"), [])).toBe(true);
  });

  it("does not guess what a scope of a later version is", () => {
    expect(targetOf({ scope: "tenant_model" } as Kill)).toBeNull();
    expect(targetOf({ scope: "tenant_agent", tenant: "finops", agent: "a" } as Kill)).toEqual(
      of("agent", "finops", "a"),
    );
  });
});

describe("a schedule", () => {
  const now = new Date("2026-11-29T12:00:00Z");
  it("ends after it starts", () => {
    expect(timesOf(WITHOUT_SCHEDULE, now)).toEqual({ startsAt: null, expiresAt: null });
    expect(timesOf({ ...WITHOUT_SCHEDULE, end: "4" }, now)).toEqual({
      startsAt: null,
      expiresAt: new Date("2026-11-29T16:00:00Z"),
    });
    expect(
      timesOf({ ...WITHOUT_SCHEDULE, end: "at", endAt: "2026-11-28T00:00" }, now),
    ).toHaveProperty("error");
    expect(timesOf({ ...WITHOUT_SCHEDULE, start: "at" }, now)).toHaveProperty("error");
  });
});
