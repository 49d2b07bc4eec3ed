import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type ApiKey = Schemas["ApiKey"];
export type NewApiKey = Schemas["NewApiKey"];
export type KeyRequest = Schemas["KeyRequest"];

export const allKeys = queryOptions({
  queryKey: ["keys"],
  queryFn: ({ signal }): Promise<Listing<ApiKey>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/keys", {
          params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
});

export function createKey(request: KeyRequest): Promise<NewApiKey> {
  return bodyOf(api.POST("/v1/keys", { body: request }));
}

export function revokeKey(id: string): Promise<ApiKey> {
  return bodyOf(api.DELETE("/v1/keys/{id}", { params: { path: { id } } }));
}
