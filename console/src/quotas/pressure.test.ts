import { expect, it } from "vitest";
import type { QuotaUsage } from "@/api/quotas";
import { exhaustedAt, shareOf } from "./pressure";

const quota = (usage: number, limit: number | null) =>
  ({
    usage,
    limit,
    window_start: "2026-11-29T00:00:00Z",
    resets_at: "2026-11-30T00:00:00Z",
  }) as QuotaUsage;
const noon = Date.parse("2026-11-29T12:00:00Z");

it("is used up wholly when nothing is permitted", () => {
  expect(shareOf(quota(0, 0))).toBe(1);
  expect(shareOf(quota(5, null))).toBeNull();
  expect(shareOf(quota(5, 10))).toBe(0.5);
});

it("tells when the limit is reached, if it is within the window", () => {
  expect(exhaustedAt(quota(80, 100), noon)).toBe(Date.parse("2026-11-29T15:00:00Z"));
  expect(exhaustedAt(quota(40, 100), noon)).toBeNull();
  expect(exhaustedAt(quota(100, 100), noon)).toBe(noon);
  expect(exhaustedAt(quota(0, 100), noon)).toBeNull();
  expect(exhaustedAt(quota(5, null), noon)).toBeNull();
});
