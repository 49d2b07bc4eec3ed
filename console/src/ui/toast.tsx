"use client";

import { X } from "lucide-react";
import { type ReactNode, useSyncExternalStore } from "react";
import { Button } from "./button";
import { cn } from "./class-names";

interface Note {
  tone: "allow" | "deny" | "neutral";
  title: string;
  detail?: ReactNode;
}

interface Shown extends Note {
  id: number;
}

const SHOWN_FOR_MS = 7_000;
const MOST = 3;

let shown: readonly Shown[] = [];
let next = 0;
const listeners = new Set<() => void>();

function become(notes: readonly Shown[]): void {
  shown = notes;
  for (const listener of listeners) listener();
}

function dismiss(id: number): void {
  become(shown.filter((note) => note.id !== id));
}

/** Says something at the edge of the window, for a while. */
export function notify(note: Note): void {
  const id = next++;
  become([...shown, { ...note, id }].slice(-MOST));
  setTimeout(dismiss, SHOWN_FOR_MS, id);
}

const NONE: readonly Shown[] = [];
const EDGES = { allow: "border-l-allow", deny: "border-l-deny", neutral: "border-l-accent" };

export function Toasts() {
  const notes = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => shown,
    () => NONE,
  );
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed bottom-3 right-3 z-50 flex w-80 max-w-[calc(100vw-1.5rem)] flex-col gap-2"
    >
      {notes.map((note) => (
        <div
          key={note.id}
          className={cn(
            "pointer-events-auto flex items-start gap-2 rounded-md border border-l-4 bg-panel py-2 pl-3 pr-1 shadow-pop",
            EDGES[note.tone],
          )}
        >
          <div className="min-w-0 flex-1">
            <p className="font-medium">{note.title}</p>
            {note.detail && <div className="break-words text-xs text-muted">{note.detail}</div>}
          </div>
          <Button kind="ghost" size="tiny" aria-label="Dismiss" onClick={() => dismiss(note.id)}>
            <X aria-hidden />
          </Button>
        </div>
      ))}
    </div>
  );
}
