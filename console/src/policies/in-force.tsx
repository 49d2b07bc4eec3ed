"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { policyModules, policyStatus } from "@/api/policy";
import { Badge } from "@/ui/badge";
import { Choice } from "@/ui/choice";
import { Code } from "@/ui/code";
import { Id } from "@/ui/copy";
import { Fact, Facts, Panel } from "@/ui/panel";
import { Empty, Failed, Loading } from "@/ui/states";
import { Time } from "@/ui/time";
import { FindingList } from "./finding-list";

/** What decides, why the latest revision does not, and the source. */
export function InForce() {
  const status = useQuery(policyStatus);
  const modules = useQuery(policyModules);
  if (status.isError)
    return (
      <Failed
        error={status.error}
        what="The policy"
        capability="seePolicy"
        retry={() => void status.refetch()}
      />
    );
  if (status.isPending) return <Loading what="The policy" />;
  const { revision, source_revision, engine, loaded_at, refused_at, error, author, data_version } =
    status.data;
  const sources = Object.fromEntries((modules.data?.result ?? []).map(({ id, raw }) => [id, raw]));
  return (
    <div className="grid min-h-0 flex-1 content-start gap-3 overflow-y-auto bg-bg p-3 xl:grid-cols-[minmax(0,26rem)_minmax(0,1fr)]">
      <div className="flex flex-col gap-3">
        <Panel title="In force">
          {revision === null || revision === undefined ? (
            <p className="rounded-md bg-deny-soft px-3 py-2 font-medium text-deny">
              No policy decides: every call is denied.
            </p>
          ) : (
            <Facts>
              <Fact name="Revision">
                <Id value={revision} />
              </Fact>
              {source_revision && source_revision !== revision && (
                <Fact name="Source has">
                  <Id value={source_revision} />
                </Fact>
              )}
              <Fact name="Engine">
                <Badge>{engine}</Badge>
              </Fact>
              {author && <Fact name="Author">{author}</Fact>}
              {loaded_at && (
                <Fact name="Loaded">
                  <Time at={loaded_at} />
                </Fact>
              )}
              <Fact name="Data version">{data_version}</Fact>
            </Facts>
          )}
        </Panel>
        {error && (
          <Panel
            title="The latest revision is refused"
            about={
              refused_at ? (
                <>
                  since <Time at={refused_at} />
                </>
              ) : undefined
            }
          >
            <FindingList texts={[error]} sources={sources} tone="deny" />
            <p className="mt-2 text-xs text-faint">
              The lines shown are those of the policy in force, which may differ.
            </p>
          </Panel>
        )}
      </div>
      <Panel title="Source">
        {modules.isError ? (
          <Failed
            error={modules.error}
            what="The source"
            capability="seePolicy"
            retry={() => void modules.refetch()}
          />
        ) : modules.isPending ? (
          <Loading what="The source" />
        ) : modules.data.result.length === 0 ? (
          <Empty title="The engine shows no source" />
        ) : (
          <Modules modules={modules.data.result} />
        )}
      </Panel>
    </div>
  );
}

function Modules({ modules }: { modules: readonly { id: string; raw: string }[] }) {
  const [shown, setShown] = useState(modules[0]?.id ?? "");
  const text = modules.find(({ id }) => id === shown)?.raw ?? modules[0]?.raw ?? "";
  return (
    <div className="flex min-w-0 flex-col gap-2">
      {modules.length > 1 && (
        <Choice
          label="File"
          className="self-start"
          value={shown}
          onChange={setShown}
          options={modules.map(({ id }) => ({ value: id, label: id }))}
        />
      )}
      <Code text={text} label={shown} size="tall">
        {text.split("\n").map((line, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
          <div key={index}>
            <span aria-hidden className="mr-3 inline-block w-7 select-none text-right text-faint">
              {index + 1}
            </span>
            <span className={line.trimStart().startsWith("#") ? "text-faint" : undefined}>
              {line}
            </span>
          </div>
        ))}
      </Code>
    </div>
  );
}
