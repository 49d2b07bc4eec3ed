import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type Upstream = Schemas["Upstream"];

export const allUpstreams = queryOptions({
  queryKey: ["upstreams"],
  queryFn: ({ signal }): Promise<Listing<Upstream>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/upstreams", {
          params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
  // No event tells of the state of a connection.
  staleTime: 0,
});

export function addUpstream(request: Schemas["UpstreamRequest"]): Promise<Upstream> {
  return bodyOf(api.POST("/v1/upstreams", { body: request }));
}

export function removeUpstream(id: string): Promise<Upstream> {
  return bodyOf(api.DELETE("/v1/upstreams/{id}", { params: { path: { id } } }));
}
