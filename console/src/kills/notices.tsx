"use client";

import { ofEvent } from "@/audit/entries";
import { remember } from "@/audit/seen";
import { useEvents } from "@/live/live";
import { notify } from "@/ui/toast";

/** Tells every open console of a kill or restore, on whatever page it is. */
export function KillNotices() {
  useEvents((line) => {
    const { event, tenant, tool, reason, metadata } = line;
    const entry = ofEvent(line);
    if (entry) remember(entry);
    if (!event.startsWith("kill_switch.")) return;
    const killed = event === "kill_switch.disabled";
    const subject =
      metadata.agent ?? metadata.label ?? (tool ? `${tenant}/${tool}` : (tenant ?? "everything"));
    notify({
      tone: killed ? "deny" : "neutral",
      title: `${killed ? "Killed" : "Restored"}: ${String(subject)}`,
      detail: reason,
    });
  });
  return null;
}
