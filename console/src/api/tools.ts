import { queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import { type Listing, PAGE_LIMIT, readAll } from "./listing";

export type Tool = Schemas["Tool"];
export type ToolDrift = Schemas["ToolDrift"];
export type RegisterRequest = Schemas["RegisterRequest"];
export type ToolChange = Schemas["ToolChange"];

/** Every tool that the key may see. */
export const allTools = queryOptions({
  queryKey: ["tools"],
  queryFn: ({ signal }): Promise<Listing<Tool>> =>
    readAll((cursor) =>
      bodyOf(
        api.GET("/v1/tools", {
          params: { query: { limit: PAGE_LIMIT, ...(cursor ? { cursor } : {}) } },
          signal,
        }),
      ),
    ),
});

export const driftOf = (id: string) =>
  queryOptions({
    queryKey: ["drift", id],
    queryFn: ({ signal }): Promise<ToolDrift> =>
      bodyOf(api.GET("/v1/tools/{id}/drift", { params: { path: { id } }, signal })),
  });

export function register(request: RegisterRequest): Promise<Tool> {
  return bodyOf(api.POST("/register", { body: request }));
}

export function change(id: string, changes: ToolChange): Promise<Tool> {
  return bodyOf(api.PATCH("/v1/tools/{id}", { params: { path: { id } }, body: changes }));
}

export function retire(id: string): Promise<Tool> {
  return bodyOf(api.DELETE("/v1/tools/{id}", { params: { path: { id } } }));
}

export function review(
  id: string,
  verdict: "approve" | "reject",
  digest: string,
): Promise<ToolDrift> {
  const request = { params: { path: { id } }, body: { digest } };
  return bodyOf(
    verdict === "approve"
      ? api.POST("/v1/tools/{id}/approve", request)
      : api.POST("/v1/tools/{id}/reject", request),
  );
}
