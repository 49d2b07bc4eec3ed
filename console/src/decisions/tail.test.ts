import { describe, expect, it } from "vitest";
import type { EventLine } from "@/live/event";
import { eventTypes, fits, readFilter, rowOfEvent, serverFilter } from "./filter";
import { Tail } from "./tail";

const line = (sequence: number, event = "policy.check.allow"): EventLine => ({
  event,
  tenant: "t",
  tool: "x",
  reason: "r",
  timestamp: "2026-11-29T12:00:00Z",
  metadata: {
    decision_id: `d${sequence}`,
    sequence,
    code: "allowed",
    principal: "key:1",
    action: "invoke",
    agent: "A",
    duration_us: 5,
  },
});
const row = (sequence: number, event?: string) => {
  const read = rowOfEvent(line(sequence, event));
  if (!read) throw new Error("no row");
  return read;
};

describe("the tail", () => {
  it("shows everything while it can be read, newest first", () => {
    const tail = new Tail();
    tail.offer(row(1));
    tail.offer(row(2));
    const view = tail.draw(0);
    expect(view.rows.map(({ id }) => id)).toEqual(["d2", "d1"]);
    expect(view.leftOut).toBe(0);
  });

  it("samples above that, counts what it leaves out, and keeps denies", () => {
    const tail = new Tail(() => 0.999);
    for (let each = 0; each < 1000; each += 1) {
      tail.offer(row(each, each % 100 === 0 ? "policy.check.deny" : "policy.check.allow"));
    }
    const view = tail.draw(1000);
    expect(view.rows.filter(({ decision }) => decision === "deny")).toHaveLength(10);
    expect(view.rows.length + view.leftOut).toBe(1000);
    expect(view.arrived).toBe(1000);
    for (let each = 1000; each < 2000; each += 1) tail.offer(row(each));
    expect(tail.draw(2000).perSecond).toBe(1000);
  });

  it("lets no burst of denies hide every allow, and no burst grow it without end", () => {
    const tail = new Tail();
    for (let draw = 0; draw < 200; draw += 1) {
      for (let each = 0; each < 60; each += 1) {
        tail.offer(row(draw * 60 + each, each < 30 ? "policy.check.deny" : "policy.check.allow"));
      }
      tail.draw(draw);
    }
    const { rows } = tail.draw(201);
    expect(rows).toHaveLength(2000);
    expect(rows.some(({ decision }) => decision === "allow")).toBe(true);
  });
});

describe("the filter", () => {
  it("never reads an unknown event as an allow", () => {
    expect(rowOfEvent(line(1, "policy.check.maybe"))?.decision).toBe("deny");
    expect(rowOfEvent({ ...line(1), metadata: {} })).toBeNull();
  });

  it("selects events as the server selects decisions", () => {
    const wanted = readFilter(new URLSearchParams("tenant=t&decision=deny&q=r+key"));
    expect(fits(row(1, "policy.check.deny"), wanted)).toBe(true);
    expect(fits(row(1), wanted)).toBe(false);
    expect(fits(row(1, "policy.check.deny"), readFilter(new URLSearchParams("agent=a")))).toBe(
      false,
    );
    expect(eventTypes(wanted)).toBe("policy.check.deny");
  });

  it("leaves out of the request what the server does not know", () => {
    const now = Date.parse("2026-11-29T12:00:00Z");
    expect(
      serverFilter(readFilter(new URLSearchParams("q=x&range=1h&decision=no&from=never")), now),
    ).toEqual({
      from: "2026-11-29T11:00:00.000Z",
    });
  });
});
