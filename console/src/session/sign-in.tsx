"use client";

import { type FormEvent, useState } from "react";
import { api, bodyOf } from "@/api/client";
import { type Problem, problemOf } from "@/api/problem";
import { Mark } from "@/shell/mark";
import { Button } from "@/ui/button";
import { Checkbox, Field, Input } from "@/ui/field";
import { ProblemNote } from "@/ui/states";
import { forget, present } from "./credential";
import { begin, type Session } from "./store";

const WHY = {
  never: null,
  signed_out: "You are signed out. The key was forgotten.",
  refused: "Your key is no longer accepted: it was revoked, or the server was set up again.",
} as const;

/** Asks the server whether it takes the key, with a listing that every role may read. */
async function accepted(): Promise<void> {
  await bodyOf(api.GET("/v1/tools", { params: { query: { limit: 1 } } }));
}

export function SignIn({ session }: { session: Exclude<Session, { state: "in" }> }) {
  const [key, setKey] = useState("");
  const [keep, setKeep] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const why = session.state === "out" ? WHY[session.ended] : null;

  const enter = async (withoutKey: boolean) => {
    setBusy(true);
    setProblem(null);
    if (withoutKey) forget();
    else present(key.trim(), keep);
    try {
      await accepted();
      begin(withoutKey);
    } catch (error) {
      forget();
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void enter(false);
  };

  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <div className="flex w-full max-w-sm flex-col gap-5">
        <div className="flex items-center gap-3">
          <Mark className="size-9" />
          <div>
            <h1 className="text-lg font-semibold leading-6">Sentinel</h1>
            <p className="text-muted">Control plane for the tool calls of AI agents</p>
          </div>
        </div>
        <form onSubmit={submit} className="flex flex-col gap-3 rounded-lg border bg-panel p-4">
          {why && (
            <p role="status" className="rounded-md bg-warn-soft px-3 py-2 text-warn">
              {why}
            </p>
          )}
          <Field label="API key" hint="Held in memory. Reloading the page forgets it.">
            {(field) => (
              <Input
                {...field}
                name="key"
                type="password"
                autoComplete="off"
                spellCheck={false}
                placeholder="snt_operator_…"
                className="font-mono"
                value={key}
                onChange={(event) => setKey(event.target.value)}
              />
            )}
          </Field>
          <Checkbox
            label="Keep it until this tab is closed"
            checked={keep}
            onChange={(event) => setKeep(event.target.checked)}
          />
          {problem && <ProblemNote error={problem} />}
          <Button
            kind="primary"
            type="submit"
            className="justify-center"
            disabled={busy || key.trim() === "" || session.state === "unknown"}
          >
            {busy ? "Asking the server…" : "Sign in"}
          </Button>
        </form>
        <p className="px-1 text-xs text-faint">
          Keys are made with <code className="font-mono">sentinel key create</code>;{" "}
          <code className="font-mono">sentinel dev</code> writes its own to{" "}
          <code className="font-mono">keys.json</code>. A server started with{" "}
          <code className="font-mono">--no-auth</code> needs none:{" "}
          <button
            type="button"
            className="text-accent underline underline-offset-2"
            disabled={busy}
            onClick={() => void enter(true)}
          >
            go on without a key
          </button>
          .
        </p>
      </div>
    </main>
  );
}
