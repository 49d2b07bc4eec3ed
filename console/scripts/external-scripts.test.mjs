import { expect, it } from "vitest";
import { extract, refused } from "./external-scripts.mjs";

const PAGE = `<head><script src="/a.js" async=""></script></head><body><script>self.x=[1]</script><p>$&</p><script>self.x.push("$'<")</script><script type="application/json">{}</script></body>`;

it("moves inline scripts into one file, in their order", () => {
  const { html, script } = extract(PAGE);
  expect(script?.text).toBe(`self.x=[1];\nself.x.push("$'<");\n`);
  expect(html).toContain(`<p>$&</p><script src="${script?.name}"></script>`);
  expect(html).toContain(`<script src="/a.js" async="">`);
  expect(refused(html)).toEqual([]);
});

it("names what the policy would refuse", () => {
  expect(refused(PAGE)).toHaveLength(2);
  expect(refused(`<a onclick="x()">`)).toHaveLength(1);
  expect(refused(`<a style="color:red">`)).toHaveLength(1);
  expect(refused("<style>a{}</style>")).toHaveLength(1);
});
