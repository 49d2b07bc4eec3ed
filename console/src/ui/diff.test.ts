import { expect, it } from "vitest";
import { diffLines } from "./diff";

const shown = (before: string, after: string) =>
  diffLines(before, after)
    .map(({ sign, text }) => sign + text)
    .join("|");

it("changes as few lines as possible", () => {
  expect(shown("a\nb\nc", "a\nx\nc")).toBe(" a|-b|+x| c");
  expect(shown("a\nb", "a\nb\nc")).toBe(" a| b|+c");
  expect(shown("", "a")).toBe("+a");
  expect(shown("a", "")).toBe("-a");
  expect(shown("a\nb\nc\nd", "b\nd")).toBe("-a| b|-c| d");
});

it("gives back both texts", () => {
  const before = "1\n2\n3\n4\n2\n9";
  const after = "2\n3\n7\n2\n1\n9";
  const lines = diffLines(before, after);
  const side = (sign: string) =>
    lines.filter((line) => line.sign === " " || line.sign === sign).map(({ text }) => text);
  expect(side("-").join("\n")).toBe(before);
  expect(side("+").join("\n")).toBe(after);
});
