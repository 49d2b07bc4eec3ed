"use client";

import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  type SortingState,
  tableFeatures,
  useTable,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { cn } from "./class-names";

export interface Column<T> {
  id: string;
  header: string;
  /** A track of the CSS grid: `8rem`, `minmax(10rem, 2fr)`. */
  width: string;
  cell(row: T): ReactNode;
  sortBy?(row: T): string | number;
  /** Left out below this width of the grid, in pixels. */
  from?: number;
  align?: "right";
}

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey(row: T): string;
  onOpen?(row: T): void;
  openKey?: string | null;
  rowClass?(row: T): string | undefined;
  /** Rows arrive at the top: no sorting, and what is read stays where it is. */
  onEnd?(): void;
  onScrollTop?(atTop: boolean): void;
  footer?: ReactNode;
  className?: string;
}

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel() });
const ROW = 34;
const NONE: readonly never[] = [];
/** So near to the end more is read. */
const END_ROWS = 30;

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

/** Rows under headings: sorted by a click, moved through by keyboard, drawn as far as visible. */
export function Grid<T extends object>(props: Props<T>) {
  const { label, rows, rowKey, onOpen, openKey, rowClass, onEnd, onScrollTop, footer } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const width = useWidth(scroll);
  const shown = useMemo(
    () => props.columns.filter((column) => width === 0 || width >= (column.from ?? 0)),
    [props.columns, width],
  );
  const [sorting, setSorting] = useState<SortingState>([]);
  const defs = useMemo<ColumnDef<typeof features, T>[]>(
    () =>
      shown.map((column) => ({
        id: column.id,
        accessorFn: (row: T) => column.sortBy?.(row) ?? "",
        enableSorting: column.sortBy !== undefined,
        sortFn: (a: { original: T }, b: { original: T }) =>
          column.sortBy ? compare(column.sortBy(a.original), column.sortBy(b.original)) : 0,
      })),
    [shown],
  );
  const sortable = props.columns.some((column) => column.sortBy !== undefined);
  const table = useTable({
    features,
    columns: defs,
    // A hundred thousand rows in the server's order need no model of their own.
    data: sortable ? rows : (NONE as readonly T[]),
    getRowId: rowKey,
    state: { sorting },
    onSortingChange: setSorting,
  });
  const model = table.getRowModel().rows;
  const sorted = useMemo(
    () => (sortable ? model.map((row) => row.original) : rows),
    [sortable, model, rows],
  );
  const keyAt = (index: number) => {
    const row = sorted[index];
    return row === undefined ? String(index) : rowKey(row);
  };
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 12,
    getItemKey: keyAt,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (onEnd && sorted.length > 0 && last >= sorted.length - END_ROWS) onEnd();
  }, [last, sorted.length, onEnd]);

  const tracks = shown.map((column) => column.width).join(" ");
  const [active, setActive] = useState(0);
  const moveTo = (index: number) => {
    const next = Math.max(0, Math.min(sorted.length - 1, index));
    setActive(next);
    virtual.scrollToIndex(next);
    requestAnimationFrame(() =>
      scroll.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus(),
    );
  };
  const keyed = (event: KeyboardEvent, index: number) => {
    if (event.target !== event.currentTarget) return;
    const steps: Record<string, number> = {
      ArrowDown: 1,
      j: 1,
      ArrowUp: -1,
      k: -1,
      PageDown: 20,
      PageUp: -20,
      Home: -sorted.length,
      End: sorted.length,
    };
    const step = steps[event.key];
    const row = sorted[index];
    if (step !== undefined) moveTo(index + step);
    else if ((event.key === "Enter" || event.key === " ") && row) onOpen?.(row);
    else return;
    event.preventDefault();
  };

  return (
    <div
      ref={scroll}
      role="grid"
      aria-label={label}
      aria-rowcount={sorted.length + 1}
      aria-colcount={shown.length}
      onScroll={(event) => onScrollTop?.(event.currentTarget.scrollTop < ROW)}
      className={cn("min-h-0 min-w-0 flex-1 overflow-auto", props.className)}
    >
      <div role="rowgroup" className="sticky top-0 z-10 border-b bg-panel">
        <div
          role="row"
          aria-rowindex={1}
          className="grid h-8 items-center gap-3 px-3 text-2xs font-medium text-faint"
          style={{ gridTemplateColumns: tracks }}
        >
          {shown.map((column) => {
            const sort = sorting[0]?.id === column.id ? (sorting[0].desc ? "desc" : "asc") : null;
            const Arrow = sort === "desc" ? ArrowDown : ArrowUp;
            return (
              <div
                key={column.id}
                role="columnheader"
                tabIndex={-1}
                aria-sort={sort ? (sort === "asc" ? "ascending" : "descending") : undefined}
                className={cn("min-w-0 truncate", column.align === "right" && "text-right")}
              >
                {column.sortBy ? (
                  <button
                    type="button"
                    className="inline-flex items-center gap-1 hover:text-fg"
                    onClick={() => table.getColumn(column.id)?.toggleSorting()}
                  >
                    {column.header}
                    {sort && <Arrow aria-hidden className="size-3" />}
                  </button>
                ) : (
                  column.header
                )}
              </div>
            );
          })}
        </div>
      </div>
      <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = sorted[item.index];
          if (!row) return null;
          const key = rowKey(row);
          const open = openKey !== null && openKey !== undefined && key === openKey;
          return (
            <div
              key={key}
              role="row"
              data-row={item.index}
              aria-rowindex={item.index + 2}
              aria-selected={onOpen ? open : undefined}
              tabIndex={item.index === Math.min(active, sorted.length - 1) ? 0 : -1}
              onClick={() => {
                setActive(item.index);
                onOpen?.(row);
              }}
              onKeyDown={(event) => keyed(event, item.index)}
              className={cn(
                "absolute left-0 top-0 grid w-full items-center gap-3 border-b border-line/70 px-3 outline-offset-[-2px]",
                onOpen && "cursor-pointer hover:bg-hover",
                open && "bg-accent-soft hover:bg-accent-soft",
                rowClass?.(row),
              )}
              style={{
                gridTemplateColumns: tracks,
                height: ROW,
                transform: `translateY(${item.start}px)`,
              }}
            >
              {shown.map((column) => (
                <div
                  key={column.id}
                  role="gridcell"
                  className={cn("min-w-0 truncate", column.align === "right" && "text-right")}
                >
                  {column.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
      {footer}
    </div>
  );
}

function useWidth(element: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(entry.contentRect.width));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}
