"use client";

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { OctagonX } from "lucide-react";
import { useRouter } from "next/navigation";
import { useCallback, useMemo, useState } from "react";
import { type Decision, decisionPages } from "@/api/decisions";
import { useMay } from "@/session/store";
import { Button } from "@/ui/button";
import { Grid } from "@/ui/grid";
import { grouped } from "@/ui/number";
import { Split } from "@/ui/split";
import { Empty, Failed, Forbidden, Loading } from "@/ui/states";
import { href, useUrlState } from "@/ui/url-state";
import { COLUMNS } from "./columns";
import { Explanation } from "./explanation";
import { fitsText, isEmpty, type Row, readFilter, serverFilter } from "./filter";
import { TailStatus } from "./tail-status";
import { Toolbar } from "./toolbar";
import { useTail } from "./use-tail";

function rowOf(decision: Decision): Row {
  return { ...decision, quota_remaining: decision.quota_remaining ?? null };
}

export function DecisionsPage() {
  const maySee = useMay("seeDecisions");
  return maySee ? <Decisions /> : <Forbidden capability="seeDecisions" />;
}

function Decisions() {
  const [query, set] = useUrlState();
  const mayTail = useMay("listen");
  const wanted = readFilter(query);
  const selection = JSON.stringify(wanted);
  const live = mayTail && query.get("live") !== "off" && !wanted.to;
  const [atTop, setAtTop] = useState(true);
  const open = query.get("open");

  // biome-ignore lint/correctness/useExhaustiveDependencies: the time is taken once a selection
  const filter = useMemo(() => serverFilter(wanted, Date.now()), [selection]);
  const options = decisionPages(filter);
  const pages = useInfiniteQuery(options);
  const queries = useQueryClient();
  const { refetch } = pages;
  const tail = useTail(wanted, live, !atTop, () => void refetch());
  const rows = useMemo(() => {
    const read = pages.data?.pages.flatMap(({ items }) => items.map(rowOf)) ?? [];
    const found = wanted.text === "" ? read : read.filter((row) => fitsText(row, wanted.text));
    if (tail.rows.length === 0) return found;
    const arrived = new Set(tail.rows.map(({ id }) => id));
    return [...tail.rows, ...found.filter(({ id }) => !arrived.has(id))];
  }, [pages.data, tail.rows, wanted.text]);

  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  const readOn = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const scrolled = useCallback(
    (top: boolean) => {
      setAtTop(top);
      if (!top || !live) return;
      // Back at the top, what was read far below is let go: the tail is drawn again and again.
      queries.setQueryData(options.queryKey, (data) =>
        data && data.pages.length > 1
          ? { pages: data.pages.slice(0, 1), pageParams: data.pageParams.slice(0, 1) }
          : data,
      );
    },
    [live, queries, options.queryKey],
  );

  return (
    <>
      <Toolbar wanted={wanted} set={set} live={live} mayTail={mayTail} />
      {live && <TailStatus tail={tail} atTop={atTop} />}
      <Split
        title={open ? "Why it was decided so" : null}
        onClose={() => set({ open: null })}
        actions={open ? <KillFromDecision row={rows.find(({ id }) => id === open)} /> : null}
        detail={open ? <Explanation id={open} /> : null}
      >
        {pages.isError && rows.length === 0 ? (
          <Failed
            error={pages.error}
            what="The decisions"
            capability="seeDecisions"
            retry={() => void pages.refetch()}
          />
        ) : pages.isPending ? (
          <Loading what="The decisions" rows={14} />
        ) : rows.length === 0 ? (
          <NoDecisions filtered={!isEmpty(wanted)} />
        ) : (
          <Grid<Row>
            label="Decisions"
            columns={COLUMNS}
            rows={rows}
            rowKey={(row) => row.id}
            onOpen={(row) => set({ open: row.id })}
            openKey={open}
            onEnd={readOn}
            onScrollTop={scrolled}
            footer={
              <Footer
                rows={rows.length}
                more={hasNextPage}
                busy={isFetchingNextPage}
                text={wanted.text}
              />
            }
          />
        )}
      </Split>
    </>
  );
}

function Footer({
  rows,
  more,
  busy,
  text,
}: {
  rows: number;
  more: boolean;
  busy: boolean;
  text: string;
}) {
  return (
    <p className="px-3 py-2 text-xs text-faint">
      {busy
        ? "Reading on…"
        : more
          ? `${grouped(rows)} shown; scroll to read on.`
          : `${grouped(rows)} shown: all there are${text ? " with this text" : ""}.`}
    </p>
  );
}

function NoDecisions({ filtered }: { filtered: boolean }) {
  return filtered ? (
    <Empty title="No decision fits these filters">Take one away, or choose a longer time.</Empty>
  ) : (
    <Empty title="Nothing was decided yet">
      Each call that an agent asks about appears here as soon as it is decided. Try it with{" "}
      <code className="font-mono text-xs">sentinel check --tenant T --tool N</code>.
    </Empty>
  );
}

function KillFromDecision({ row }: { row: Row | undefined }) {
  const router = useRouter();
  const mayKill = useMay("kill");
  if (!mayKill || !row) return null;
  return (
    <>
      <Button
        size="sm"
        kind="dangerGhost"
        onClick={() =>
          router.push(href("/kills/", { scope: "tool", tenant: row.tenant, tool: row.tool }))
        }
      >
        <OctagonX aria-hidden /> Kill tool
      </Button>
      {row.agent && (
        <Button
          size="sm"
          kind="dangerGhost"
          onClick={() =>
            router.push(href("/kills/", { scope: "agent", tenant: row.tenant, name: row.agent }))
          }
        >
          <OctagonX aria-hidden /> Kill agent
        </Button>
      )}
    </>
  );
}
