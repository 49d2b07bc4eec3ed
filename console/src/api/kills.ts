import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type Kill = Schemas["Kill"];
export type KillRequest = Schemas["KillRequest"];
export type KillTarget = Schemas["KillTarget"];
export type KillAnswer = Schemas["KillAnswer"];
export type RestoreAnswer = Schemas["RestoreAnswer"];

/** Kills in force; scheduled ones are in the history only. */
export const killsInForce = queryOptions({
  queryKey: ["kills", "in_force"],
  queryFn: ({ signal }): Promise<Listing<Kill>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/kills", {
          params: { query: { in_force: true, limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
});

export const killHistory = queryOptions({
  queryKey: ["kills", "all"],
  queryFn: ({ signal }): Promise<Listing<Kill>> =>
    readAll(
      (cursor) =>
        bodyOf(
          api.GET("/v1/kills", {
            params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        ),
      2,
    ),
});

export function kill(request: KillRequest): Promise<KillAnswer> {
  return bodyOf(api.POST("/kill", { body: request }));
}

export function restore(target: KillTarget): Promise<RestoreAnswer> {
  return bodyOf(api.POST("/kill/restore", { body: target }));
}
