const GROUPED = new Intl.NumberFormat(undefined);

export function grouped(value: number): string {
  return GROUPED.format(value);
}

/** `1 tool`, `2 tools`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${grouped(value)} ${value === 1 ? one : many}`;
}

/** Microseconds as people read them. */
export function duration(us: number): string {
  if (us < 1000) return `${us} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(1)} s`;
}
