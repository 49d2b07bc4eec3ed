/** What each role may do: what `docs/openapi.json` says of the endpoint, which a test compares. */

export const ROLES = ["agent", "operator", "author", "auditor", "admin"] as const;
export type Role = (typeof ROLES)[number];

interface Rule {
  endpoint: string;
  roles: readonly Role[];
}

export const CAPABILITIES = {
  listen: { endpoint: "GET /v1/ws", roles: ["agent", "operator", "auditor", "admin"] },
  seeDecisions: {
    endpoint: "GET /v1/decisions",
    roles: ["operator", "author", "auditor", "admin"],
  },
  exportDecisions: { endpoint: "GET /v1/decisions/export", roles: ["auditor", "admin"] },
  check: { endpoint: "POST /policy/check", roles: ["agent", "admin"] },
  seeKills: { endpoint: "GET /v1/kills", roles: ["operator", "auditor", "admin"] },
  kill: { endpoint: "POST /kill", roles: ["operator", "admin"] },
  restore: { endpoint: "POST /kill/restore", roles: ["operator", "admin"] },
  seeTools: {
    endpoint: "GET /v1/tools",
    roles: ["agent", "operator", "author", "auditor", "admin"],
  },
  registerTool: { endpoint: "POST /register", roles: ["admin"] },
  changeTool: { endpoint: "PATCH /v1/tools/{id}", roles: ["admin"] },
  retireTool: { endpoint: "DELETE /v1/tools/{id}", roles: ["admin"] },
  seeDrift: { endpoint: "GET /v1/tools/{id}/drift", roles: ["operator", "auditor", "admin"] },
  reviewTool: { endpoint: "POST /v1/tools/{id}/approve", roles: ["operator", "admin"] },
  seeTenants: { endpoint: "GET /v1/tenants", roles: ["operator", "auditor", "admin"] },
  createTenant: { endpoint: "POST /v1/tenants", roles: ["admin"] },
  seeQuotas: { endpoint: "GET /v1/quotas", roles: ["operator", "auditor", "admin"] },
  seePolicy: { endpoint: "GET /v1/policy", roles: ["author", "auditor", "admin"] },
  changePolicy: { endpoint: "POST /v1/policy/rollout", roles: ["author", "admin"] },
  seeManifests: { endpoint: "GET /v1/manifests", roles: ["auditor", "admin"] },
  verifyManifest: {
    endpoint: "GET /provenance/verify/{id}",
    roles: ["agent", "auditor", "admin"],
  },
  manageKeys: { endpoint: "GET /v1/keys", roles: ["admin"] },
  seeUpstreams: { endpoint: "GET /v1/upstreams", roles: ["operator", "auditor", "admin"] },
  changeUpstreams: { endpoint: "POST /v1/upstreams", roles: ["admin"] },
} as const satisfies Record<string, Rule>;

export type Capability = keyof typeof CAPABILITIES;

export function rolesFor(capability: Capability): readonly Role[] {
  return CAPABILITIES[capability].roles;
}

/** Whether to show it; a role that is not known sees nothing, and is told so. */
export function may(role: Role | null, capability: Capability): boolean {
  return role !== null && rolesFor(capability).includes(role);
}

export function roleNamed(name: string | null): Role | null {
  return ROLES.find((role) => role === name) ?? null;
}
