"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { FileUp, Upload } from "lucide-react";
import { type DragEvent, useId, useState } from "react";
import { signingKeys, trustedRoot } from "@/api/manifests";
import { cn } from "@/ui/class-names";
import { Json } from "@/ui/code";
import { Panel } from "@/ui/panel";
import { Failed } from "@/ui/states";
import { CheckList } from "./checks";
import type { Bytes } from "./encoding";
import { keyOfPem, keysOf, logsOf, type Trust } from "./trust";
import { verifyBundle } from "./verify";

interface Files {
  bundle: { name: string; text: string } | null;
  artifact: { name: string; bytes: Bytes } | null;
  root: { name: string; value: unknown } | null;
  pem: { name: string; text: string } | null;
}

const NONE: Files = { bundle: null, artifact: null, root: null, pem: null };

/** Puts each file where its content says that it belongs. */
async function sorted(files: readonly File[], before: Files): Promise<Files> {
  const next = { ...before };
  for (const file of files) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    let mediaType = "";
    let value: unknown = null;
    try {
      value = JSON.parse(text);
      mediaType = String((value as { mediaType?: unknown })?.mediaType ?? "");
    } catch {
      // Not JSON: a key, or the payload.
    }
    if (mediaType.includes("trustedroot")) next.root = { name: file.name, value };
    else if (mediaType.includes("sigstore.bundle")) next.bundle = { name: file.name, text };
    else if (text.includes("BEGIN PUBLIC KEY")) next.pem = { name: file.name, text };
    else if (next.bundle === null && value !== null) next.bundle = { name: file.name, text };
    else next.artifact = { name: file.name, bytes };
  }
  return next;
}

/** Verifies a bundle in this browser: nothing of the file is sent anywhere. */
export function VerifyFile() {
  const keys = useQuery(signingKeys);
  const root = useQuery(trustedRoot);
  const queries = useQueryClient();
  const [files, setFiles] = useState<Files>(NONE);
  const [over, setOver] = useState(false);
  const input = useId();
  const verify = useMutation({
    mutationFn: async (given: Files) => {
      if (given.bundle === null) return null;
      const trust: Trust = {
        keys: given.pem
          ? [await keyOfPem(given.pem.text)]
          : keysOf((await queries.ensureQueryData(signingKeys)).items),
        logs: logsOf(given.root ? given.root.value : await queries.ensureQueryData(trustedRoot)),
      };
      return verifyBundle(given.bundle.text, trust, given.artifact?.bytes ?? null);
    },
  });
  const take = async (list: FileList | null) => {
    if (!list || list.length === 0) return;
    const next = await sorted([...list], files);
    setFiles(next);
    verify.mutate(next);
  };
  const dropped = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    void take(event.dataTransfer.files);
  };
  const failed = (!files.root && root.isError && root) || (!files.pem && keys.isError && keys);
  if (failed)
    return <Failed error={failed.error} what="What to trust" retry={() => void failed.refetch()} />;
  const result = verify.data;
  return (
    <div className="grid min-h-0 flex-1 content-start gap-3 overflow-y-auto bg-bg p-3 lg:grid-cols-2">
      <div className="flex flex-col gap-3">
        <label
          htmlFor={input}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={dropped}
          className={cn(
            "flex min-h-44 cursor-pointer flex-col items-center justify-center gap-2 rounded-lg border-2 border-dashed bg-panel px-6 py-8 text-center focus-within:border-accent hover:border-accent",
            over ? "border-accent" : "border-line-strong/60",
          )}
        >
          <Upload aria-hidden className="size-6 text-accent" />
          <span className="font-medium">Drop a bundle here, or choose its file</span>
          <span className="max-w-md text-muted">
            It is verified in this browser. Drop the payload with its salt too, and what the
            statement commits to is compared.
          </span>
          <input
            id={input}
            type="file"
            multiple
            className="sr-only"
            onChange={(event) => {
              void take(event.target.files);
              event.target.value = "";
            }}
          />
        </label>
        <Panel title="Files">
          <ul className="flex flex-col gap-1">
            <FileLine name="Bundle" file={files.bundle?.name} none="none yet" />
            <FileLine
              name="Payload with salt"
              file={files.artifact?.name}
              none="none: the commitment is not checked"
            />
            <FileLine name="Trusted root" file={files.root?.name} none="that of this server" />
            <FileLine name="Signing key" file={files.pem?.name} none="those of this server" />
          </ul>
          <p className="mt-2 text-xs text-faint">
            A server that vouches for itself proves little to others. Drop a trusted root and a
            public key that you fetched earlier, over a connection that you trust, and they are used
            instead.
          </p>
        </Panel>
      </div>
      <div className="flex min-w-0 flex-col gap-3">
        {verify.isError ? (
          <Failed error={verify.error} what="The file" />
        ) : result ? (
          <>
            <div className="rounded-lg bg-panel">
              <CheckList verified={result.verified} checks={result.checks} />
            </div>
            {result.statement && <Json value={result.statement} label="the signed statement" />}
          </>
        ) : (
          <Panel title="Result">
            <p className="text-muted">Each check appears here with what it found.</p>
          </Panel>
        )}
      </div>
    </div>
  );
}

function FileLine({ name, file, none }: { name: string; file: string | undefined; none: string }) {
  return (
    <li className="flex items-center gap-2">
      <FileUp aria-hidden className={cn("size-4", file ? "text-accent" : "text-faint")} />
      <span className="w-36 shrink-0">{name}</span>
      <span className={cn("min-w-0 truncate", file ? "font-mono text-xs" : "text-faint")}>
        {file ?? none}
      </span>
    </li>
  );
}
