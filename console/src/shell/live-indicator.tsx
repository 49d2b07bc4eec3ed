"use client";

import { RotateCw, WifiOff } from "lucide-react";
import { useLive } from "@/live/live";
import { Button } from "@/ui/button";
import { cn } from "@/ui/class-names";
import { relativeTime, useNow } from "@/ui/time";

/** Whether what is shown is kept up to date, always in the same place. */
export function LiveIndicator() {
  const { state } = useLive();
  const [text, dot, title] = {
    open: ["Live", "bg-allow pulse-dot", "Events arrive as they happen"],
    connecting: ["Connecting", "bg-warn pulse-dot", "The event stream is being opened"],
    lost: ["Disconnected", "bg-deny", "No events arrive"],
    refused: ["Not live", "bg-deny", "The server refuses the event stream"],
    closed: ["Not live", "bg-faint", "This role hears no events: reload to read again"],
  }[state.state] as [string, string, string];
  const over = state.state === "open" && state.over === "events" ? " (SSE)" : "";
  return (
    <span
      role="status"
      aria-label={`Live updates: ${text}`}
      title={title}
      className="inline-flex items-center gap-1.5 text-xs text-muted"
    >
      <span aria-hidden className={cn("size-2 rounded-full", dot)} />
      {text}
      {over}
    </span>
  );
}

/** Above every page while disconnected: nothing below it is confirmed. */
export function DisconnectedBanner() {
  const { state, retry } = useLive();
  const now = useNow();
  if (state.state === "refused") {
    return (
      <div role="alert" className="border-b border-deny/40 bg-deny-soft px-4 py-2 text-fg">
        <b className="text-deny">No live updates.</b> {state.problem.detail} What is shown is only
        as true as when it was read.
      </div>
    );
  }
  if (state.state !== "lost") return null;
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-deny/40 bg-deny-soft px-4 py-2"
    >
      <WifiOff aria-hidden className="size-4 text-deny" />
      <p className="min-w-0 flex-1">
        <b className="text-deny">Disconnected.</b> What you see is as it was{" "}
        <span aria-live="off">{relativeTime(state.since, Math.max(now, state.since))}</span>; kills
        may have changed since. It is read again as soon as the server answers.
      </p>
      <Button size="sm" onClick={retry}>
        <RotateCw aria-hidden /> Reconnect now
      </Button>
    </div>
  );
}
