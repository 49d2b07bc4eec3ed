import { expect, it } from "vitest";
import { excerptOf, findingsIn, sourceOf } from "./findings";

const DETAIL =
  "the candidate is refused: policy.rego:3:9: use of undefined variable `foo` is unsafe [invalid_file]";

it("reads the place and the message", () => {
  expect(findingsIn(DETAIL)).toEqual([
    {
      file: "policy.rego",
      line: 3,
      column: 9,
      message: "use of undefined variable `foo` is unsafe [invalid_file]",
    },
  ]);
  expect(findingsIn("the directory is empty")).toEqual([]);
});

it("puts the caret below the place, tabs included", () => {
  const [finding] = findingsIn(DETAIL);
  if (!finding) throw new Error("no finding");
  const excerpt = excerptOf(finding, "package p\nallow if {\n\tx := 1 + foo\n}");
  expect(excerpt?.lines.map(({ number }) => number)).toEqual([1, 2, 3]);
  expect(excerpt?.pad).toBe("\t       ");
  expect(excerptOf(finding, "package p")).toBeNull();
  expect(excerptOf(finding, undefined)).toBeNull();
});

it("finds the source by its name, and does not guess between two", () => {
  expect(sourceOf("policy.rego", { "sentinel/policy.rego": "a" })).toBe("a");
  expect(sourceOf("policy.rego", { "a/policy.rego": "a", "b/policy.rego": "b" })).toBeUndefined();
});
