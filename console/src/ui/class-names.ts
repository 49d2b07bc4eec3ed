import { type ClassValue, clsx } from "clsx";

/** Joins class names. A component takes none that contradict its own. */
export function cn(...values: ClassValue[]): string {
  return clsx(values);
}
