"use client";

import { ToggleGroup } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "./class-names";

interface Option<T extends string> {
  value: T;
  label: ReactNode;
  title?: string;
}

interface Props<T extends string> {
  label: string;
  value: T;
  onChange(value: T): void;
  options: readonly Option<T>[];
  className?: string;
}

/** One of a few, all visible. */
export function Choice<T extends string>({ label, value, onChange, options, className }: Props<T>) {
  return (
    <ToggleGroup.Root
      type="single"
      aria-label={label}
      value={value}
      onValueChange={(next) => next !== "" && onChange(next as T)}
      className={cn("inline-flex flex-wrap gap-0.5 rounded-md bg-raised p-0.5", className)}
    >
      {options.map((option) => (
        <ToggleGroup.Item
          key={option.value}
          value={option.value}
          title={option.title}
          className="inline-flex h-7 items-center gap-1.5 rounded px-2.5 text-xs text-muted hover:text-fg data-[state=on]:bg-accent-soft data-[state=on]:font-medium data-[state=on]:text-accent"
        >
          {option.label}
        </ToggleGroup.Item>
      ))}
    </ToggleGroup.Root>
  );
}
