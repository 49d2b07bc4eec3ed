/** One page of a listing. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** What was read of a listing; `more` when it goes on. */
export interface Listing<T> {
  items: T[];
  more: boolean;
}

export const PAGE_LIMIT = 1000;

/** Reads a listing to its end, or as many pages as are worth waiting for. */
export async function readAll<T>(
  read: (cursor: string | undefined) => Promise<Page<T>>,
  maxPages = 10,
): Promise<Listing<T>> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const next = await read(cursor);
    items.push(...next.items);
    cursor = next.next_cursor ?? undefined;
    if (cursor === undefined) return { items, more: false };
  }
  return { items, more: true };
}
