"use client";

import type { Tool } from "@/api/tools";
import { useConfirmed } from "@/live/live";
import { Badge } from "@/ui/badge";
import { shownHealth, shownState } from "./state";

export function StateBadge({ tool }: { tool: Tool }) {
  const { text, tone, title } = shownState(tool, useConfirmed());
  return (
    <Badge tone={tone} title={title}>
      {text}
    </Badge>
  );
}

export function HealthBadge({ tool }: { tool: Tool }) {
  const { text, tone, title } = shownHealth(tool);
  return (
    <Badge tone={tone} title={title}>
      {text}
    </Badge>
  );
}
