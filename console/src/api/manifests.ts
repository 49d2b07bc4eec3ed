import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas, textOf } from "./client";
import { type Listing, readAll } from "./listing";

export type ManifestRecord = Schemas["ManifestRecord"];
export type Verification = Schemas["VerifyAnswer"];

export interface ManifestFilter {
  tenant?: string;
  tool?: string;
}

export const manifestsOfDecision = (decision_id: string) =>
  queryOptions({
    queryKey: ["manifests", "decision", decision_id],
    queryFn: ({ signal }) =>
      bodyOf(api.GET("/v1/manifests", { params: { query: { decision_id } }, signal })),
  });

export const latestManifests = (filter: ManifestFilter) =>
  queryOptions({
    queryKey: ["manifests", "latest", filter],
    queryFn: ({ signal }): Promise<Listing<ManifestRecord>> =>
      readAll(
        (cursor) =>
          bodyOf(
            api.GET("/v1/manifests", {
              params: { query: { ...filter, limit: 500, ...(cursor ? { cursor } : {}) } },
              signal,
            }),
          ),
        2,
      ),
  });

/** Asks the server to verify; each check is listed. */
export const verificationOf = (id: string) =>
  queryOptions({
    queryKey: ["verification", id],
    queryFn: ({ signal }): Promise<Verification> =>
      bodyOf(api.GET("/provenance/verify/{id}", { params: { path: { id } }, signal })),
  });

export function bundleOf(id: string): Promise<unknown> {
  return bodyOf(api.GET("/v1/manifests/{id}/bundle", { params: { path: { id } } }));
}

export const checkpoint = queryOptions({
  queryKey: ["checkpoint"],
  queryFn: () => textOf("/v1/log/checkpoint"),
});

export const trustedRoot = queryOptions({
  queryKey: ["trusted-root"],
  queryFn: ({ signal }): Promise<unknown> => bodyOf(api.GET("/v1/trusted-root", { signal })),
});

export const signingKeys = queryOptions({
  queryKey: ["signing-keys"],
  queryFn: ({ signal }) => bodyOf(api.GET("/v1/provenance/keys", { signal })),
});
