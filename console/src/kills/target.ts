import type { Kill, KillRequest, KillTarget } from "@/api/kills";
import type { Tool } from "@/api/tools";

/** What one kill can name. With a tenant, all but `global` are of that tenant only. */
export const KINDS = [
  "tool",
  "tenant",
  "agent",
  "principal",
  "tool_scope",
  "tool_tag",
  "global",
] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_NAMES: Record<Kind, string> = {
  tool: "Tool",
  tenant: "Tenant",
  agent: "Agent",
  principal: "Principal",
  tool_scope: "Tool scope",
  tool_tag: "Tool tag",
  global: "Everything",
};

export interface Target {
  kind: Kind;
  /** Empty: every tenant, where the kind permits that. */
  tenant: string;
  /** Name of the tool, agent, principal, scope or tag. */
  name: string;
}

export function kindOf(text: string | null): Kind | null {
  return KINDS.find((kind) => kind === text) ?? null;
}

/** Whether the kind needs a tenant, takes one, or has none. */
export function tenantOf(kind: Kind): "required" | "optional" | "none" {
  if (kind === "tool" || kind === "tenant") return "required";
  return kind === "global" ? "none" : "optional";
}

export function takesName(kind: Kind): boolean {
  return kind !== "tenant" && kind !== "global";
}

export function isComplete(target: Target): boolean {
  const named = !takesName(target.kind) || target.name.trim() !== "";
  return named && (tenantOf(target.kind) !== "required" || target.tenant !== "");
}

/** What has to be typed: the name of what is stopped. */
export function phrase(target: Target): string {
  if (target.kind === "global") return "everything";
  if (target.kind === "tenant") return target.tenant;
  const name = target.name.trim();
  return target.tenant === "" ? name : `${target.tenant}/${name}`;
}

export function inWords({ kind, tenant, name }: Target): string {
  const within = tenant === "" ? "every tenant" : `tenant ${tenant}`;
  switch (kind) {
    case "global":
      return "everything";
    case "tenant":
      return `tenant ${tenant}`;
    case "tool":
      return `tool ${tenant}/${name}`;
    case "agent":
      return `agent ${name} in ${within}`;
    case "principal":
      return `principal ${name} in ${within}`;
    case "tool_scope":
      return `tools with scope ${name} in ${within}`;
    case "tool_tag":
      return `tools with tag ${name} in ${within}`;
  }
}

export function asRequestTarget({ kind, tenant, name }: Target): KillTarget {
  if (kind === "global") return { scope: "global" };
  const within = tenant === "" ? {} : { tenant_slug: tenant };
  const named = name.trim();
  switch (kind) {
    case "tenant":
      return within;
    case "tool":
      return { ...within, tool_name: named };
    case "agent":
      return { ...within, agent: named };
    case "principal":
      return { ...within, principal: named };
    case "tool_scope":
      return { ...within, tool_scope: named };
    case "tool_tag":
      return { ...within, tool_tag: named };
  }
}

export interface Times {
  startsAt: Date | null;
  expiresAt: Date | null;
}

export function asRequest(target: Target, reason: string, times: Times): KillRequest {
  return {
    ...asRequestTarget(target),
    reason: reason.trim(),
    ...(times.startsAt ? { starts_at: times.startsAt.toISOString() } : {}),
    ...(times.expiresAt ? { expires_at: times.expiresAt.toISOString() } : {}),
  };
}

/** The target of a kill, as the form has it. `null`: of a kind that this console does not know. */
export function targetOf(kill: Kill): Target | null {
  const kind = kindOf(kill.scope.replace(/^tenant_/, ""));
  if (kind === null) return null;
  const name = kill.tool ?? kill.agent ?? kill.label ?? "";
  return { kind, tenant: kill.tenant ?? "", name };
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function tagsOf(tool: Tool): string[] {
  const tags = tool.metadata.tags;
  if (typeof tags === "string") return [tags];
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** Whether every call of the tool is covered; an agent or principal covers some calls of any tool. */
export function coversTool(target: Target, tool: Tool): boolean {
  if (target.tenant !== "" && target.tenant !== tool.tenant_slug) return false;
  switch (target.kind) {
    case "global":
    case "tenant":
    case "agent":
    case "principal":
      return true;
    case "tool":
      return tool.name === target.name;
    case "tool_scope":
      return tool.scopes.some((scope) => same(scope, target.name.trim()));
    case "tool_tag":
      return tagsOf(tool).some((tag) => same(tag, target.name.trim()));
  }
}

/** Whether one kill stops whatever the other would: what remains after the other is restored. */
export function isWider(kill: Target, target: Target, tools: readonly Tool[]): boolean {
  if (kill.kind === "global") return target.kind !== "global";
  if (kill.tenant !== "" && kill.tenant !== target.tenant) return false;
  if (kill.kind === "tenant") return target.kind !== "tenant";
  if (kill.kind === target.kind)
    return kill.tenant === "" && target.tenant !== "" && same(kill.name, target.name);
  if (target.kind !== "tool" || kill.kind === "agent" || kill.kind === "principal") return false;
  const tool = tools.find(
    (each) => each.tenant_slug === target.tenant && each.name === target.name,
  );
  return tool !== undefined && coversTool(kill, tool);
}

export function sameTarget(a: Target, b: Target): boolean {
  return a.kind === b.kind && a.tenant === b.tenant && same(a.name.trim(), b.name.trim());
}

export function readTarget(query: URLSearchParams): Target {
  const kind = kindOf(query.get("scope")) ?? "tool";
  const name = query.get(kind === "tool" ? "tool" : "name") ?? "";
  return { kind, tenant: query.get("tenant") ?? "", name };
}

/** The parameters of the page that prepares this kill. */
export function writeTarget({ kind, tenant, name }: Target): Record<string, string | null> {
  const named = takesName(kind) ? name : null;
  return {
    scope: kind,
    tenant: kind === "global" ? null : tenant,
    tool: kind === "tool" ? named : null,
    name: kind === "tool" ? null : named,
  };
}
