"use client";

import { Actor } from "@/access/actor";
import type { Kill } from "@/api/kills";
import { Id } from "@/ui/copy";
import { Dialog } from "@/ui/dialog";
import { TextLink } from "@/ui/link";
import { Fact, Facts } from "@/ui/panel";
import { Time } from "@/ui/time";
import { href } from "@/ui/url-state";
import { inWords, targetOf } from "./target";

/** All that is recorded of one kill. */
export function KillDialog({ kill, onClose }: { kill: Kill; onClose(): void }) {
  const target = targetOf(kill);
  const decisions = href("/decisions/", {
    code: "killed",
    tenant: kill.tenant,
    tool: kill.tool,
    agent: kill.agent,
  });
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`Kill of ${target ? inWords(target) : kill.scope}`}
      description={kill.reason}
    >
      <Facts>
        <Fact name="State">{kill.state.replace("_", " ")}</Fact>
        <Fact name="Kill">
          <Id value={kill.kill_id} />
        </Fact>
        <Fact name="Killed by">
          <Actor id={kill.actor} />
          {kill.by_platform && (
            <span className="text-muted"> · bound to no tenant: only such a key restores it</span>
          )}
        </Fact>
        <Fact name="Made">
          <Time at={kill.created_at} />
        </Fact>
        {kill.starts_at && (
          <Fact name="Starts">
            <Time at={kill.starts_at} />
          </Fact>
        )}
        {kill.expires_at && (
          <Fact name="Expires">
            <Time at={kill.expires_at} />
          </Fact>
        )}
        {kill.restored_at && (
          <Fact name={kill.restored_by ? "Restored" : "Ended"}>
            <Time at={kill.restored_at} />
            {kill.restored_by && (
              <>
                {" by "}
                <Actor id={kill.restored_by} />
              </>
            )}
          </Fact>
        )}
        <Fact name="Epoch">{kill.epoch}</Fact>
        <Fact name="Denied calls">
          <TextLink href={decisions}>Decisions with the code killed</TextLink>
        </Fact>
      </Facts>
    </Dialog>
  );
}
