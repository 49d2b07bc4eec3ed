"use client";

import { Dialog } from "@/ui/dialog";
import { PAGES } from "./pages";

const OTHERS: readonly [string, string][] = [
  ["⌘ K", "Command palette (Ctrl K elsewhere)"],
  ["/", "Search on this page"],
  ["j  k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["Esc", "Close what is open"],
  ["?", "This list"],
];

export function ShortcutHelp({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange(open: boolean): void;
}) {
  const pages = PAGES.map(({ key, name }): [string, string] => [`g  ${key}`, name]);
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard">
      <dl className="grid grid-cols-[5rem_1fr] gap-y-1.5 sm:grid-cols-[5rem_1fr_4rem_1fr]">
        {[...OTHERS, ...pages].map(([keys, what]) => (
          <div key={keys} className="contents">
            <dt>
              <kbd className="rounded border bg-raised px-1.5 py-0.5 font-mono text-xs">{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
