/** The real control plane as the conformance kit sees it: a tenant of its own for each case. */
import type { ConformancePlane, Signed } from '@sentinel-mcp/client/conformance';
import { type Json, type Place, Plane } from '../kit/plane.js';

const REGISTERED = ['lookup', 'forbidden', 'metered', 'wait', 'explode'];
let tenants = 0;

export async function renewed(place: Place, prefix = ''): Promise<ConformancePlane> {
  const plane = new Plane(place);
  tenants += 1;
  const tenant = `conformance-${process.pid}-${tenants}`;
  for (const tool of REGISTERED) await plane.register(`${prefix}${tool}`, { tenant_slug: tenant });
  const keys = await plane.request('admin', 'GET', '/v1/keys');
  const agents = (keys['items'] as Json[]).filter(({ role }) => role === 'agent');
  const items = async (path: string) =>
    (await plane.request('admin', 'GET', `${path}?tenant=${tenant}&limit=100`))['items'] as Json[];
  return {
    url: place.url,
    tenant,
    apiKey: place.keys.agent,
    principal: String(agents[0]?.['name']),
    kill: async (target) => void (await plane.kill({ tenant_slug: tenant, ...target })),
    restore: async (target) => void (await plane.restore({ tenant_slug: tenant, ...target })),
    decisions: async () => (await items('/v1/decisions')).map(({ id }) => String(id)),
    signed: async () =>
      (await items('/v1/manifests')).map(
        ({ tool, decision_id }): Signed => ({
          tool: String(tool),
          payload: undefined,
          decisionId: decision_id as string,
        }),
      ),
  };
}
