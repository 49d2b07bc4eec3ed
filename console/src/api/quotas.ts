import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type QuotaUsage = Schemas["QuotaUsage"];

export const allQuotas = queryOptions({
  queryKey: ["quotas"],
  queryFn: ({ signal }): Promise<Listing<QuotaUsage>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/quotas", {
          params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
  // Usage changes with every allow, and no event tells of it.
  staleTime: 0,
});
