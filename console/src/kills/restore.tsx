"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { type Kill, killsInForce, restore } from "@/api/kills";
import { allTools } from "@/api/tools";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { Field, Input } from "@/ui/field";
import { ProblemNote } from "@/ui/states";
import { notify } from "@/ui/toast";
import { asRequestTarget, inWords, isWider, phrase, sameTarget, targetOf } from "./target";

/** Asks once more before calls are possible again, and says what stays stopped. */
export function RestoreDialog({ kill, onClose }: { kill: Kill; onClose(): void }) {
  const queries = useQueryClient();
  const kills = useQuery(killsInForce);
  const tools = useQuery(allTools);
  const [typed, setTyped] = useState("");
  const target = targetOf(kill);
  const mutation = useMutation({
    mutationFn: async () => {
      if (target === null)
        throw new Error(`a kill of the scope ${kill.scope} is restored with the CLI`);
      return restore(asRequestTarget(target));
    },
    onSuccess: (answer) => {
      notify({
        tone: "neutral",
        title: `Restored: ${target ? inWords(target) : kill.scope}`,
        detail: `${answer.affected_count} tools affected, epoch ${answer.epoch}`,
      });
      onClose();
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["kills"] });
      void queries.invalidateQueries({ queryKey: ["tools"] });
    },
  });
  if (target === null) return null;
  const others = (kills.data?.items ?? []).filter(({ kill_id }) => kill_id !== kill.kill_id);
  const same = others.filter((other) => {
    const its = targetOf(other);
    return its !== null && sameTarget(its, target);
  });
  const wider = others.filter((other) => {
    const its = targetOf(other);
    return its !== null && isWider(its, target, tools.data?.items ?? []);
  });
  const wanted = phrase(target);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (typed === wanted) mutation.mutate();
  };
  return (
    <Dialog
      open
      onOpenChange={(open) => !open && onClose()}
      title={`${kill.state === "scheduled" ? "Cancel the scheduled kill of" : "Restore"} ${inWords(target)}`}
      description={`Killed because: ${kill.reason}`}
    >
      <form onSubmit={submit} className="flex flex-col gap-3">
        <p>
          {kill.state === "scheduled"
            ? "It will not start."
            : "Calls that policy and quota allow are possible again, at once and everywhere."}
          {same.length > 0 && ` ${same.length} more kills of the same target end with it.`}
        </p>
        {wider.length > 0 && (
          <div className="rounded-md bg-warn-soft px-3 py-2 text-warn">
            <p className="font-medium">A wider kill covers it: the server will refuse this.</p>
            <ul className="list-disc pl-5">
              {wider.map((other) => {
                const its = targetOf(other);
                return <li key={other.kill_id}>{its ? inWords(its) : other.scope}</li>;
              })}
            </ul>
          </div>
        )}
        <Field
          label="Confirmation"
          hint={
            <>
              Type <code className="rounded bg-raised px-1 font-mono text-fg">{wanted}</code> to
              confirm
            </>
          }
        >
          {(field) => (
            <Input
              {...field}
              autoFocus
              className="font-mono"
              autoComplete="off"
              spellCheck={false}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        {mutation.isError && <ProblemNote error={mutation.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Keep it stopped</Button>
          <Button kind="primary" type="submit" disabled={typed !== wanted || mutation.isPending}>
            {mutation.isPending
              ? "Restoring…"
              : kill.state === "scheduled"
                ? "Cancel the kill"
                : "Restore"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
