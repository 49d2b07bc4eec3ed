import { Check } from "lucide-react";
import { CAPABILITIES, ROLES } from "@/session/capabilities";

const NAMES: Record<keyof typeof CAPABILITIES, string> = {
  listen: "Hear events live",
  seeDecisions: "Read decisions",
  exportDecisions: "Export decisions",
  check: "Ask for decisions",
  seeKills: "Read kills",
  kill: "Kill",
  restore: "Restore",
  seeTools: "Read tools",
  registerTool: "Register tools",
  changeTool: "Change tools",
  retireTool: "Retire tools",
  seeDrift: "Compare definitions",
  reviewTool: "Approve and reject definitions",
  seeTenants: "Read tenants",
  createTenant: "Create tenants",
  seeQuotas: "Read quotas",
  seePolicy: "Read policy",
  changePolicy: "Roll out policy",
  seeManifests: "Read manifests",
  verifyManifest: "Verify manifests",
  manageKeys: "Make and revoke keys",
  seeUpstreams: "Read upstreams",
  changeUpstreams: "Add and remove upstreams",
};

/** What each role may do: the table by which the console shows and hides. */
export function RoleTable() {
  return (
    <section tabIndex={0} aria-label="Roles" className="min-h-0 flex-1 overflow-auto">
      <table className="w-full min-w-[36rem]">
        <thead className="sticky top-0 bg-panel text-2xs text-faint">
          <tr className="border-b">
            <th scope="col" className="h-8 px-3 text-left font-medium">
              May
            </th>
            {ROLES.map((role) => (
              <th key={role} scope="col" className="px-3 text-center font-medium">
                {role}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Object.entries(CAPABILITIES).map(([name, { roles, endpoint }]) => (
            <tr key={name} className="border-b border-line/70">
              <th scope="row" className="h-8 px-3 text-left font-normal" title={endpoint}>
                {NAMES[name as keyof typeof CAPABILITIES]}
              </th>
              {ROLES.map((role) => (
                <td key={role} className="px-3 text-center">
                  {(roles as readonly string[]).includes(role) ? (
                    <Check aria-label="yes" className="mx-auto size-4 text-allow" />
                  ) : (
                    <span className="sr-only">no</span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p className="px-3 py-2 text-xs text-faint">
        A key that is bound to a tenant or an agent may do less: only for that tenant, only as that
        agent.
      </p>
    </section>
  );
}
