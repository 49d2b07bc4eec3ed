"use client";

import { OctagonX } from "lucide-react";
import { useRouter } from "next/navigation";
import type { Tool } from "@/api/tools";
import { useMay } from "@/session/store";
import { Button } from "@/ui/button";
import { href } from "@/ui/url-state";
import { stateOf } from "./state";

/** What one does with a tool in a hurry. */
export function ToolActions({ tool }: { tool: Tool }) {
  const router = useRouter();
  const mayKill = useMay("kill");
  const state = stateOf(tool);
  if (!mayKill || state === "retired") return null;
  const killed = state === "killed";
  return (
    <Button
      size="sm"
      kind={killed ? "secondary" : "danger"}
      onClick={() =>
        router.push(
          killed
            ? "/kills/"
            : href("/kills/", { scope: "tool", tenant: tool.tenant_slug, tool: tool.name }),
        )
      }
    >
      <OctagonX aria-hidden /> {killed ? "See its kill" : "Kill"}
    </Button>
  );
}
