"use client";

import { useState } from "react";
import type { Range } from "@/decisions/filter";

type Chosen = Exclude<Range, "any">;

/** Stays as chosen while the console is open, whatever page is shown in between. */
let remembered: Chosen = "1h";

export function useStickyRange(stated: Range): [Chosen, (range: Chosen) => void] {
  const [range, setRange] = useState<Chosen>(stated === "any" ? remembered : stated);
  return [
    range,
    (next) => {
      remembered = next;
      setRange(next);
    },
  ];
}
