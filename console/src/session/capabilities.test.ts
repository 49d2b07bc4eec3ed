import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CAPABILITIES, may, ROLES, roleNamed } from "./capabilities";

interface Operation {
  description?: string;
}
const { paths } = JSON.parse(readFileSync(`${__dirname}/../../../docs/openapi.json`, "utf8")) as {
  paths: Record<string, Record<string, Operation>>;
};

/** The roles that the description of the endpoint names. */
function documented(endpoint: string): string[] {
  const [method = "", path = ""] = endpoint.split(" ");
  const description = paths[path]?.[method.toLowerCase()]?.description ?? "";
  const sentence = description.match(/Roles: ([^.;]*)/)?.[1] ?? "";
  return [...sentence.matchAll(/`(\w+)`/g)].map(([, role]) => role ?? "");
}

describe("capabilities", () => {
  for (const [name, { endpoint, roles }] of Object.entries(CAPABILITIES)) {
    it(`${name} is for the roles that ${endpoint} documents`, () => {
      expect([...roles].sort()).toEqual(documented(endpoint).sort());
    });
  }

  it("shows a role that is not known nothing", () => {
    expect(roleNamed("owner")).toBeNull();
    for (const name of Object.keys(CAPABILITIES)) {
      expect(may(null, name as keyof typeof CAPABILITIES)).toBe(false);
    }
    expect(ROLES.every((role) => roleNamed(role) === role)).toBe(true);
  });
});
