import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, readAll } from "./listing";

export type PolicyStatus = Schemas["PolicyStatus"];
export type PolicyChange = Schemas["PolicyChange"];
export type PolicyRollout = Schemas["PolicyRollout"];
export type RolloutRequest = Schemas["RolloutRequest"];
export type CheckRequest = Schemas["CheckRequest"];
export type CheckAnswer = Schemas["CheckAnswer"];

export const policyStatus = queryOptions({
  queryKey: ["policy", "status"],
  queryFn: ({ signal }): Promise<PolicyStatus> => bodyOf(api.GET("/v1/policy", { signal })),
});

export const policyModules = queryOptions({
  queryKey: ["policy", "modules"],
  queryFn: ({ signal }) => bodyOf(api.GET("/v1/policies", { signal })),
});

export const policyChanges = queryOptions({
  queryKey: ["policy", "changes"],
  queryFn: ({ signal }): Promise<Listing<PolicyChange>> =>
    readAll(
      (cursor) =>
        bodyOf(
          api.GET("/v1/policy/changes", {
            params: { query: { limit: 500, ...(cursor ? { cursor } : {}) } },
            signal,
          }),
        ),
      2,
    ),
});

export const rollouts = queryOptions({
  queryKey: ["policy", "rollout"],
  queryFn: ({ signal }) => bodyOf(api.GET("/v1/policy/rollout", { signal })),
  staleTime: 0,
});

export const shadow = queryOptions({
  queryKey: ["policy", "shadow"],
  queryFn: ({ signal }) => bodyOf(api.GET("/v1/policy/shadow", { signal })),
  staleTime: 0,
});

export function startRollout(request: RolloutRequest): Promise<Schemas["StartedRollout"]> {
  return bodyOf(api.POST("/v1/policy/rollout", { body: request }));
}

export function promote(step: Schemas["RolloutStep"]): Promise<PolicyRollout> {
  return bodyOf(api.POST("/v1/policy/rollout/promote", { body: step }));
}

export function drop(step: Schemas["RolloutStep"]): Promise<unknown> {
  return bodyOf(api.POST("/v1/policy/rollout/drop", { body: step }));
}

/** A check that is decided, counted and recorded like any other. */
export function check(request: CheckRequest): Promise<CheckAnswer> {
  return bodyOf(api.POST("/policy/check", { body: request }));
}
