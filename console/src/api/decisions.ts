import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, bodyOf, type Schemas } from "./client";
import type { Listing, Page } from "./listing";
import { PAGE_LIMIT, readAll } from "./listing";

export type Decision = Schemas["Decision"];

/** What the interface can select by. */
export interface DecisionFilter {
  tenant?: string;
  tool?: string;
  agent?: string;
  decision?: "allow" | "deny";
  code?: string;
  from?: string;
  to?: string;
}

function page(
  filter: DecisionFilter,
  limit: number,
  cursor: string | undefined,
  signal: AbortSignal,
) {
  const query = { ...filter, limit, ...(cursor ? { cursor } : {}) };
  return bodyOf(api.GET("/v1/decisions", { params: { query }, signal }));
}

/** Decisions, newest first, read on as the user scrolls. */
export const decisionPages = (filter: DecisionFilter) =>
  infiniteQueryOptions({
    queryKey: ["decisions", "pages", filter],
    queryFn: ({ pageParam, signal }): Promise<Page<Decision>> =>
      page(filter, pageParam === undefined ? 200 : PAGE_LIMIT, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last: Page<Decision>) => last.next_cursor ?? undefined,
  });

/** The latest decisions that fit, at most `most`. */
export const latestDecisions = (filter: DecisionFilter, most: number) =>
  queryOptions({
    queryKey: ["decisions", "latest", filter, most],
    queryFn: ({ signal }): Promise<Listing<Decision>> =>
      readAll(
        (cursor) => page(filter, Math.min(most, PAGE_LIMIT), cursor, signal),
        Math.ceil(most / PAGE_LIMIT),
      ),
  });

export const decisionOf = (id: string) =>
  queryOptions({
    queryKey: ["decisions", "one", id],
    queryFn: ({ signal }): Promise<Decision> =>
      bodyOf(api.GET("/v1/decisions/{id}", { params: { path: { id } }, signal })),
    // A decision never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
