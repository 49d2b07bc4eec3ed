/** Something that vetting found, with its place. */
export interface Finding {
  file: string;
  line: number;
  column: number;
  message: string;
}

/** Reads `policy.rego:7:18: message`, wherever it is in a text. */
export function findingsIn(text: string): Finding[] {
  return [...text.matchAll(/([\w./-]+\.(?:rego|json)):(\d+):(\d+): ([^\n]*)/g)].map(
    ([, file, line, column, message]) => ({
      file: file ?? "",
      line: Number(line),
      column: Number(column),
      message: message ?? "",
    }),
  );
}

export interface Excerpt {
  lines: { number: number; text: string }[];
  /** How far below the line the caret is, in characters; tabs stay as they are. */
  pad: string;
}

/** The lines around a finding; `null` when the source is not at hand. */
export function excerptOf({ line, column }: Finding, source: string | undefined): Excerpt | null {
  const lines = source?.split("\n");
  const found = lines?.[line - 1];
  if (lines === undefined || found === undefined) return null;
  const from = Math.max(1, line - 2);
  return {
    lines: lines.slice(from - 1, line).map((text, index) => ({ number: from + index, text })),
    pad: found.slice(0, column - 1).replaceAll(/[^\t]/g, " "),
  };
}

/** The source of a file, whose name a finding may give with or without its folder. */
export function sourceOf(
  file: string,
  sources: Readonly<Record<string, string>>,
): string | undefined {
  const exact = sources[file];
  if (exact !== undefined) return exact;
  const named = Object.keys(sources).filter(
    (name) => name.endsWith(`/${file}`) || file.endsWith(`/${name}`),
  );
  return named.length === 1 ? sources[named[0] ?? ""] : undefined;
}
