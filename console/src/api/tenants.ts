import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type Tenant = Schemas["Tenant"];

export const allTenants = queryOptions({
  queryKey: ["tenants"],
  queryFn: ({ signal }): Promise<Listing<Tenant>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/tenants", {
          params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
});

export function createTenant(request: Schemas["TenantRequest"]): Promise<Tenant> {
  return bodyOf(api.POST("/v1/tenants", { body: request }));
}
