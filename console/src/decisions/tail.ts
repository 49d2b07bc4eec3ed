import type { Row } from "./filter";

/** Rows that one drawing adds at most: as many as can be read at all. */
const MOST_A_DRAWING = 24;
/** Of them kept for denies, which are what people look for. */
const FOR_DENIES = 16;
/** Rows that are kept. */
const KEPT = 2_000;
const RATE_WINDOW_MS = 5_000;

/** A sample of fixed size, of which every item had the same chance. */
class Reservoir {
  items: Row[] = [];
  seen = 0;

  constructor(readonly random: () => number) {}

  offer(row: Row, size: number): void {
    this.seen += 1;
    if (this.items.length < size) {
      this.items.push(row);
      return;
    }
    const at = Math.floor(this.random() * this.seen);
    if (at < size) this.items[at] = row;
  }

  take(): Row[] {
    const taken = this.items;
    this.items = [];
    this.seen = 0;
    return taken;
  }
}

export interface TailView {
  /** Newest first. */
  rows: readonly Row[];
  /** Arrived since the tail began, and of them not shown. */
  arrived: number;
  leftOut: number;
  perSecond: number;
}

/** The live tail: takes everything, shows what can be read, and counts what it leaves out. */
export class Tail {
  #denies: Reservoir;
  #allows: Reservoir;
  #rows: Row[] = [];
  #arrived = 0;
  #leftOut = 0;
  #marks: [at: number, arrived: number][] = [];

  constructor(random: () => number = Math.random) {
    this.#denies = new Reservoir(random);
    this.#allows = new Reservoir(random);
  }

  offer(row: Row): void {
    this.#arrived += 1;
    if (row.decision === "allow") this.#allows.offer(row, MOST_A_DRAWING);
    else this.#denies.offer(row, MOST_A_DRAWING);
  }

  /** What is to be drawn now. */
  draw(now: number): TailView {
    const seen = this.#denies.seen + this.#allows.seen;
    const denies = this.#denies.take();
    const allows = this.#allows.take();
    const forAllows = MOST_A_DRAWING - Math.min(denies.length, FOR_DENIES);
    const shownAllows = allows.slice(0, forAllows);
    const shown = [...shownAllows, ...denies.slice(0, MOST_A_DRAWING - shownAllows.length)];
    this.#leftOut += seen - shown.length;
    shown.sort((a, b) => b.sequence - a.sequence);
    if (shown.length > 0) this.#rows = [...shown, ...this.#rows].slice(0, KEPT);
    return {
      rows: this.#rows,
      arrived: this.#arrived,
      leftOut: this.#leftOut,
      perSecond: this.#rate(now),
    };
  }

  #rate(now: number): number {
    this.#marks.push([now, this.#arrived]);
    while (this.#marks.length > 2 && (this.#marks[0]?.[0] ?? now) < now - RATE_WINDOW_MS)
      this.#marks.shift();
    const [at, arrived] = this.#marks[0] ?? [now, this.#arrived];
    return at === now ? 0 : ((this.#arrived - arrived) * 1000) / (now - at);
  }
}
