"use client";

import { useRouter } from "next/navigation";
import { useEffect, useRef } from "react";
import { PAGES } from "./pages";

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

interface Handlers {
  palette(): void;
  help(): void;
}

const SEQUENCE_MS = 1200;

/** `⌘K`, `?`, `/` and `g` with a letter. */
export function useShortcuts({ palette, help }: Handlers): void {
  const router = useRouter();
  const waiting = useRef(0);
  const handlers = useRef({ palette, help });
  handlers.current = { palette, help };
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        handlers.current.palette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || typing(event.target)) return;
      if (Date.now() - waiting.current < SEQUENCE_MS) {
        waiting.current = 0;
        const page = PAGES.find(({ key }) => key === event.key);
        if (page) {
          event.preventDefault();
          router.push(page.path);
          return;
        }
      }
      if (event.key === "g") waiting.current = Date.now();
      else if (event.key === "?") handlers.current.help();
      else if (event.key === "/") {
        const search = document.querySelector<HTMLElement>("main [data-search]");
        if (search) {
          event.preventDefault();
          search.focus();
        }
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [router]);
}
