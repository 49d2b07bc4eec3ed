import type { Keys } from "./server";

export type Role = keyof Keys;

/** The interface, as a program uses it. */
export class Interface {
  constructor(
    readonly origin: string,
    readonly keys: Keys,
  ) {}

  async call<T = Record<string, unknown>>(
    role: Role,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<T> {
    const response = await fetch(this.origin + path, {
      method,
      headers: {
        authorization: `Bearer ${this.keys[role]}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    // An unknown tool is a decision too, and answered with 404.
    if (!response.ok && !text.includes("decision_id")) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`);
    }
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  /** A tool in a tenant of its own. */
  tool(tenant: string, name: string, more: Record<string, unknown> = {}): Promise<{ id: string }> {
    return this.call("admin", "POST", "/register", {
      tenant_slug: tenant,
      name,
      url: `https://${name}.${tenant}.example/mcp`,
      owner: `${tenant}@example.com`,
      ...more,
    });
  }

  check(
    tenant: string,
    tool: string,
    more: Record<string, unknown> = {},
  ): Promise<{ decision_id: string }> {
    return this.call("agent", "POST", "/policy/check", {
      tenant_slug: tenant,
      tool_name: tool,
      action: "invoke",
      ...more,
    });
  }
}
