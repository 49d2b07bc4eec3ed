"use client";

import { useSearchParams } from "next/navigation";
import { useCallback } from "react";

type Values = Readonly<Record<string, string | null | undefined>>;

/**
 * State that stands in the address, so that a link shows what its sender saw. An empty value takes
 * the parameter away.
 */
export function useUrlState(): [URLSearchParams, (values: Values) => void] {
  const parameters = useSearchParams();
  const set = useCallback((values: Values) => {
    const next = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === "") next.delete(name);
      else next.set(name, value);
    }
    const query = next.toString();
    window.history.replaceState(null, "", query === "" ? window.location.pathname : `?${query}`);
  }, []);
  return [new URLSearchParams(parameters), set];
}

/** An address within the console. */
export function href(path: string, values: Values = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value) query.set(name, value);
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
