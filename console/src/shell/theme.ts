"use client";

import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const STORED = "sentinel.theme";
const DARK = "(prefers-color-scheme: dark)";
const listeners = new Set<() => void>();

function chosen(): Theme {
  const stored = localStorage.getItem(STORED);
  return stored === "light" || stored === "dark" ? stored : "system";
}

function paint(): void {
  const theme = chosen();
  const dark = theme === "dark" || (theme === "system" && matchMedia(DARK).matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const listener of listeners) listener();
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") localStorage.removeItem(STORED);
  else localStorage.setItem(STORED, theme);
  paint();
}

function subscribe(listener: () => void): () => void {
  const system = matchMedia(DARK);
  listeners.add(listener);
  system.addEventListener("change", paint);
  return () => {
    listeners.delete(listener);
    system.removeEventListener("change", paint);
  };
}

export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, chosen, () => "system");
}

function watchPainted(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}

/** Whether it is dark now: charts draw on a canvas, which knows no CSS variables. */
export function useDark(): boolean {
  return useSyncExternalStore(
    watchPainted,
    () => document.documentElement.dataset.theme === "dark",
    () => false,
  );
}
