import { expect, it } from "vitest";
import { type Point, percentile, seriesOf, summaryOf } from "./series";

const point = (at: number, allow = true, us = 100): Point => ({
  at,
  allow,
  code: allow ? "allowed" : "killed",
  us,
});

it("counts each decision in one bin, as a rate", () => {
  const series = seriesOf(
    [point(0), point(999), point(1000, false), point(5000), point(-1)],
    0,
    4000,
    4,
  );
  expect(series.times).toEqual([0, 1, 2, 3]);
  expect(series.allowed).toEqual([2, 0, 0, 0]);
  expect(series.denied).toEqual([0, 1, 0, 0]);
  expect(series.p50).toEqual([0.1, 0.1, null, null]);
});

it("has percentiles of what there is, and none of nothing", () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([0.5, 0.95, 0.99].map((share) => percentile(values, share))).toEqual([50, 95, 99]);
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeNull();
});

it("sums up denies by their reason", () => {
  const summary = summaryOf([
    point(0),
    point(0, false),
    { ...point(0, false), code: "quota_exceeded" },
    point(0, false),
  ]);
  expect(summary).toMatchObject({ total: 4, allowed: 1, denied: 3 });
  expect(summary.reasons).toEqual([
    ["killed", 2],
    ["quota_exceeded", 1],
  ]);
});
