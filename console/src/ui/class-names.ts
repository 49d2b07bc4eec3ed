import { type ClassValue, clsx } from "clsx";
import { twMerge } from "tailwind-merge";

/** Joins class names; the later of two that contradict each other counts. */
export function cn(...values: ClassValue[]): string {
  return twMerge(clsx(values));
}
