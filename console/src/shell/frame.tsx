"use client";

import { useQuery } from "@tanstack/react-query";
import {
  CircleUser,
  Keyboard,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  Moon,
  OctagonX,
  Search,
  Sun,
  X,
} from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { usePathname } from "next/navigation";
import { type ReactNode, useEffect, useState } from "react";
import { killsInForce } from "@/api/kills";
import { KillNotices } from "@/kills/notices";
import { may } from "@/session/capabilities";
import { end, useMay, useRole, useSession } from "@/session/store";
import { Button } from "@/ui/button";
import { cn } from "@/ui/class-names";
import { Menu, MenuItem, MenuLabel, MenuRule } from "@/ui/menu";
import { counted } from "@/ui/number";
import { DisconnectedBanner, LiveIndicator } from "./live-indicator";
import { Mark } from "./mark";
import { PAGES } from "./pages";
import { ShortcutHelp } from "./shortcut-help";
import { useShortcuts } from "./shortcuts";
import { chooseTheme } from "./theme";

/** Loaded once the page has been, so that no letter is lost when it is first opened. */
const Palette = dynamic(() => import("./palette").then(({ Palette }) => Palette), { ssr: false });

const PALETTE_AFTER_MS = 800;

export function Frame({ children }: { children: ReactNode }) {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [navigation, setNavigation] = useState(false);
  const path = usePathname();
  useShortcuts({ palette: () => setPalette(true), help: () => setHelp(true) });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page was opened
  useEffect(() => setNavigation(false), [path]);
  useEffect(() => {
    const timer = setTimeout(() => void import("./palette"), PALETTE_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  const here = PAGES.find((page) => page.path === path);
  useEffect(() => {
    document.title = here ? `${here.name} · Sentinel` : "Sentinel";
  }, [here]);

  return (
    <div className="flex h-dvh overflow-hidden">
      <a
        href="#main"
        className="sr-only z-50 rounded bg-accent p-2 text-accent-fg focus:not-sr-only focus:absolute focus:left-2 focus:top-2"
      >
        Skip to the page
      </a>
      <Navigation open={navigation} onClose={() => setNavigation(false)} />
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="flex h-12 shrink-0 items-center gap-2 border-b bg-panel px-3">
          <Button
            kind="ghost"
            size="icon"
            className="md:hidden"
            aria-label="Open the navigation"
            aria-expanded={navigation}
            onClick={() => setNavigation(true)}
          >
            <MenuIcon aria-hidden />
          </Button>
          <h1 className="truncate text-base font-semibold">{here?.name ?? "Sentinel"}</h1>
          <KillsChip />
          <div className="ml-auto flex items-center gap-2">
            <Button
              className="text-muted"
              onClick={() => setPalette(true)}
              aria-label="Open the command palette"
            >
              <Search aria-hidden />
              <span className="hidden lg:inline">Search or jump to</span>
              <kbd className="hidden font-mono text-2xs text-faint lg:inline">⌘K</kbd>
            </Button>
            <LiveIndicator />
            <Account onHelp={() => setHelp(true)} />
          </div>
        </header>
        <DisconnectedBanner />
        <main
          id="main"
          tabIndex={-1}
          className="flex min-h-0 flex-1 flex-col overflow-auto outline-none"
        >
          {children}
        </main>
      </div>
      <KillNotices />
      {palette && <Palette open onOpenChange={setPalette} />}
      <ShortcutHelp open={help} onOpenChange={setHelp} />
    </div>
  );
}

function Navigation({ open, onClose }: { open: boolean; onClose(): void }) {
  const path = usePathname();
  const role = useRole();
  return (
    <>
      {open && (
        <button
          type="button"
          aria-label="Close the navigation"
          className="fixed inset-0 z-30 bg-black/55 md:hidden"
          onClick={onClose}
        />
      )}
      <nav
        aria-label="Pages"
        className={cn(
          "z-40 w-48 shrink-0 flex-col border-r bg-panel md:flex",
          open ? "fixed inset-y-0 left-0 flex" : "hidden",
        )}
      >
        <div className="flex h-12 items-center gap-2 border-b px-3">
          <Mark className="size-6" />
          <span className="font-semibold">Sentinel</span>
          {open && (
            <Button
              kind="ghost"
              size="icon"
              className="ml-auto md:hidden"
              aria-label="Close"
              onClick={onClose}
            >
              <X aria-hidden />
            </Button>
          )}
        </div>
        <ul className="flex flex-1 flex-col gap-px overflow-y-auto p-2">
          {PAGES.map(({ path: to, name, icon: Icon, needs }) => {
            const here = to === path;
            return (
              <li key={to}>
                <Link
                  href={to}
                  prefetch={false}
                  aria-current={here ? "page" : undefined}
                  title={may(role, needs) ? undefined : "Your key does not permit this page"}
                  className={cn(
                    "flex h-8 items-center gap-2.5 rounded-md px-2 text-muted hover:bg-hover hover:text-fg [&_svg]:size-4",
                    here &&
                      "bg-accent-soft font-medium text-accent hover:bg-accent-soft hover:text-accent",
                    !may(role, needs) && "italic text-faint",
                  )}
                >
                  <Icon aria-hidden /> {name}
                </Link>
              </li>
            );
          })}
        </ul>
      </nav>
    </>
  );
}

/** On every page: what is stopped at the moment. */
function KillsChip() {
  const maySee = useMay("seeKills");
  const kills = useQuery({ ...killsInForce, enabled: maySee });
  if (kills.isError) {
    return (
      <span className="inline-flex h-6 items-center rounded border border-deny px-2 text-xs text-deny">
        Kills unknown
      </span>
    );
  }
  const count = kills.data?.items.length ?? 0;
  if (count === 0) return null;
  return (
    <Link
      href="/kills/"
      prefetch={false}
      className="inline-flex h-6 items-center gap-1 whitespace-nowrap rounded bg-danger px-2 text-xs font-medium text-danger-fg hover:bg-danger-hover"
    >
      <OctagonX aria-hidden className="size-3.5" />
      {counted(count, "kill")}
      <span className="hidden sm:inline">in force</span>
    </Link>
  );
}

function Account({ onHelp }: { onHelp(): void }) {
  const session = useSession();
  const role = session.state === "in" ? (session.role ?? "unknown role") : "";
  const withoutKey = session.state === "in" && session.withoutKey;
  return (
    <Menu
      label={`Account: ${role}`}
      kind="ghost"
      face={
        <>
          <CircleUser aria-hidden />
          <span className="hidden sm:inline">{role}</span>
        </>
      }
    >
      <MenuLabel>
        {withoutKey ? "No key: the server asks for none" : `Key with the role ${role}`}
      </MenuLabel>
      <MenuRule />
      <MenuItem onSelect={() => chooseTheme("system")}>
        <Monitor aria-hidden /> Theme of the system
      </MenuItem>
      <MenuItem onSelect={() => chooseTheme("light")}>
        <Sun aria-hidden /> Light theme
      </MenuItem>
      <MenuItem onSelect={() => chooseTheme("dark")}>
        <Moon aria-hidden /> Dark theme
      </MenuItem>
      <MenuRule />
      <MenuItem onSelect={onHelp}>
        <Keyboard aria-hidden /> Keyboard
      </MenuItem>
      <MenuItem onSelect={() => end("signed_out")}>
        <LogOut aria-hidden /> Sign out
      </MenuItem>
    </Menu>
  );
}
