"use client";

import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { Button } from "./button";

interface Props {
  /** Names the region; `null` closes it. */
  title: string | null;
  onClose(): void;
  detail: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A list, and beside it what was opened of it; on a narrow screen over it. */
export function Split({ title, onClose, detail, actions, children }: Props) {
  const open = title !== null;
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    if (!open) return;
    const pressed = (event: KeyboardEvent) => {
      if (
        event.key !== "Escape" ||
        event.defaultPrevented ||
        document.querySelector("[role=dialog],[role=menu]")
      )
        return;
      close.current();
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [open]);
  return (
    <div className="flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">{children}</div>
      {open && (
        <aside
          aria-label={title}
          className="fixed inset-0 z-20 flex flex-col bg-panel xl:static xl:z-auto xl:w-[30rem] xl:shrink-0 xl:border-l"
        >
          <header className="flex min-h-11 items-center gap-2 border-b px-3 py-1.5">
            <h2 className="min-w-0 flex-1 truncate font-semibold" title={title}>
              {title}
            </h2>
            {actions}
            <Button kind="ghost" size="icon" aria-label="Close" onClick={onClose}>
              <X aria-hidden />
            </Button>
          </header>
          <div tabIndex={0} className="min-h-0 flex-1 overflow-y-auto outline-offset-[-2px]">
            {detail}
          </div>
        </aside>
      )}
    </div>
  );
}
