"use client";

import { useQuery } from "@tanstack/react-query";
import { Command } from "cmdk";
import { LogOut, Moon, OctagonX, Search, Wrench } from "lucide-react";
import { useRouter } from "next/navigation";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { allTools } from "@/api/tools";
import { end, useMay } from "@/session/store";
import { href } from "@/ui/url-state";
import { PAGES } from "./pages";
import { chooseTheme, useDark } from "./theme";

const MOST_TOOLS = 200;

/** Every word has to be there: a near miss must not put a kill of something else under Enter. */
function fits(value: string, search: string): number {
  const text = value.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
    ? 1
    : 0;
}

/** Everything by name: pages, tools, and killing one. */
export function Palette({
  open,
  onOpenChange,
}: {
  open: boolean;
  onOpenChange(open: boolean): void;
}) {
  const router = useRouter();
  const mayKill = useMay("kill");
  const dark = useDark();
  const tools = useQuery({ ...allTools, enabled: open });
  const run = (action: () => void) => () => {
    onOpenChange(false);
    action();
  };
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/55" />
        <Radix.Content
          aria-describedby={undefined}
          className="fixed left-1/2 top-[12vh] z-50 w-[min(36rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-hidden rounded-lg border bg-panel shadow-pop"
        >
          <Radix.Title className="sr-only">Command palette</Radix.Title>
          <Command label="Command palette" loop filter={fits}>
            <div className="flex items-center gap-2 border-b px-3">
              <Search aria-hidden className="size-4 text-faint" />
              <Command.Input
                placeholder="Go to a page, open a tool, kill a tool…"
                className="h-11 flex-1 bg-transparent outline-none placeholder:text-faint"
              />
            </div>
            <Command.List className="max-h-[50vh] overflow-y-auto p-1.5">
              <Command.Empty className="px-3 py-6 text-center text-muted">
                Nothing has that name.
              </Command.Empty>
              <Group heading="Pages">
                {PAGES.map(({ path, name, icon: Icon, key }) => (
                  <Item key={path} value={`page ${name}`} onSelect={run(() => router.push(path))}>
                    <Icon aria-hidden /> {name}
                    <kbd className="ml-auto font-mono text-2xs text-faint">g {key}</kbd>
                  </Item>
                ))}
              </Group>
              {mayKill && (
                <Group heading="Kill">
                  <Item
                    value="kill everything global"
                    onSelect={run(() => router.push(href("/kills/", { scope: "global" })))}
                  >
                    <OctagonX aria-hidden className="text-deny" /> Kill everything…
                  </Item>
                  {tools.data?.items.slice(0, MOST_TOOLS).map((tool) => (
                    <Item
                      key={tool.id}
                      value={`kill ${tool.tenant_slug}/${tool.name}`}
                      onSelect={run(() =>
                        router.push(
                          href("/kills/", {
                            scope: "tool",
                            tenant: tool.tenant_slug,
                            tool: tool.name,
                          }),
                        ),
                      )}
                    >
                      <OctagonX aria-hidden className="text-deny" /> Kill {tool.tenant_slug}/
                      {tool.name}…
                    </Item>
                  ))}
                </Group>
              )}
              <Group heading="Tools">
                {tools.data?.items.slice(0, MOST_TOOLS).map((tool) => (
                  <Item
                    key={tool.id}
                    value={`open tool ${tool.tenant_slug}/${tool.name}`}
                    onSelect={run(() => router.push(href("/tools/", { open: tool.id })))}
                  >
                    <Wrench aria-hidden /> {tool.tenant_slug}/{tool.name}
                  </Item>
                ))}
              </Group>
              <Group heading="Console">
                <Item
                  value="theme dark light"
                  onSelect={run(() => chooseTheme(dark ? "light" : "dark"))}
                >
                  <Moon aria-hidden /> {dark ? "Light" : "Dark"} theme
                </Item>
                <Item value="sign out" onSelect={run(() => end("signed_out"))}>
                  <LogOut aria-hidden /> Sign out
                </Item>
              </Group>
            </Command.List>
          </Command>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:py-1 [&_[cmdk-group-heading]]:text-2xs [&_[cmdk-group-heading]]:text-faint"
    >
      {children}
    </Command.Group>
  );
}

function Item({
  value,
  onSelect,
  children,
}: {
  value: string;
  onSelect(): void;
  children: ReactNode;
}) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex h-8 cursor-pointer items-center gap-2 rounded px-2 data-[selected=true]:bg-hover [&_svg]:size-4 [&_svg]:text-muted"
    >
      {children}
    </Command.Item>
  );
}
