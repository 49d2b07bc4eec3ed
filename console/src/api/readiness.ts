import { queryOptions } from "@tanstack/react-query";
import { ORIGIN, type Schemas } from "./client";
import { Problem } from "./problem";

type Ready = Schemas["Ready"];

export interface Readiness {
  ready: boolean;
  /** Why it is not ready. */
  problem: Problem | null;
  selfTest: NonNullable<Ready["kill_self_test"]> | null;
}

/** `/readyz`, whose 503 is an answer and not a failure. It needs no key. */
export const readiness = queryOptions({
  queryKey: ["ready"],
  queryFn: async ({ signal }): Promise<Readiness> => {
    const response = await fetch(`${ORIGIN}/readyz`, { signal, cache: "no-store" }).catch(
      (cause: unknown) => {
        throw Problem.unreachable(cause);
      },
    );
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) {
      return { ready: false, problem: Problem.from(response.status, body), selfTest: null };
    }
    const ready = body as Ready;
    return {
      ready: ready.status === "ready",
      problem: null,
      selfTest: ready.kill_self_test ?? null,
    };
  },
});
