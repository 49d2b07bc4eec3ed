import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, it } from "vitest";

it("has the types that docs/openapi.json states; `npm run types` writes them", async () => {
  const document = new URL("../../../docs/openapi.json", `file://${__dirname}/`);
  const types = astToString(
    await openapiTS(JSON.parse(readFileSync(document, "utf8")), { emptyObjectsUnknown: true }),
  );
  const written = readFileSync(`${__dirname}/schema.d.ts`, "utf8");
  // Behind the comment that the command line adds.
  expect(written.endsWith(types)).toBe(true);
}, 20_000);
