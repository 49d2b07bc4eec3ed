"use client";

import { Bookmark, BookmarkPlus, Link2, Trash2 } from "lucide-react";
import { useState } from "react";
import { Menu, MenuItem, MenuLabel, MenuRule } from "./menu";
import { notify } from "./toast";
import { useUrlState } from "./url-state";

interface View {
  name: string;
  query: string;
}

function read(page: string): View[] {
  try {
    const views: unknown = JSON.parse(localStorage.getItem(`sentinel.views.${page}`) ?? "[]");
    return Array.isArray(views) ? views : [];
  } catch {
    return [];
  }
}

/** Filters under a name, kept by this browser; as a link they are shared with others. */
export function Views({ page }: { page: string }) {
  const [views, setViews] = useState<View[] | null>(null);
  const [query, set] = useUrlState();
  const shown = views ?? (typeof window === "undefined" ? [] : read(page));
  const write = (next: View[]) => {
    localStorage.setItem(`sentinel.views.${page}`, JSON.stringify(next));
    setViews(next);
  };
  const current = () => {
    const text = new URLSearchParams(window.location.search);
    text.delete("open");
    return text;
  };
  const go = (view: View) => {
    const cleared = Object.fromEntries([...query.keys()].map((name) => [name, null]));
    set({ ...cleared, ...Object.fromEntries(new URLSearchParams(view.query)) });
  };
  const keep = () => {
    const text = current();
    const name = [...text.values()].join(" · ") || "Everything";
    write([...shown.filter((view) => view.name !== name), { name, query: text.toString() }]);
    notify({ tone: "neutral", title: "View saved", detail: name });
  };
  const share = () =>
    navigator.clipboard
      .writeText(window.location.href)
      .then(() =>
        notify({ tone: "neutral", title: "Link copied", detail: "It opens with these filters." }),
      )
      .catch(() => notify({ tone: "deny", title: "Nothing was copied" }));
  return (
    <Menu
      label="Views"
      size="sm"
      face={
        <>
          <Bookmark aria-hidden /> Views
        </>
      }
    >
      <MenuItem onSelect={keep}>
        <BookmarkPlus aria-hidden /> Save these filters
      </MenuItem>
      <MenuItem onSelect={() => void share()}>
        <Link2 aria-hidden /> Copy a link to them
      </MenuItem>
      <MenuRule />
      {shown.length === 0 && <MenuLabel>No view is saved in this browser</MenuLabel>}
      {shown.map((view) => (
        <div key={view.name} className="flex">
          <div className="min-w-0 flex-1">
            <MenuItem onSelect={() => go(view)}>
              <span className="max-w-64 truncate">{view.name}</span>
            </MenuItem>
          </div>
          <button
            type="button"
            aria-label={`Remove the view ${view.name}`}
            className="rounded px-2 text-muted hover:bg-hover hover:text-deny"
            onClick={() => write(shown.filter(({ name }) => name !== view.name))}
          >
            <Trash2 aria-hidden className="size-3.5" />
          </button>
        </div>
      ))}
    </Menu>
  );
}
