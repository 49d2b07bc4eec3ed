// Fails when the first load of a page is larger than the budget: its document, and every script,
// style and font that the document names, compressed with gzip as a server would.
//
// Usage: node scripts/budget.mjs out

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET = 300 * 1000;

const directory = process.argv[2] ?? "out";
const sizes = new Map();

function compressed(path) {
  if (!sizes.has(path)) {
    const bytes = readFileSync(join(directory, path));
    sizes.set(path, path.endsWith(".woff2") ? bytes.length : gzipSync(bytes, { level: 6 }).length);
  }
  return sizes.get(path);
}

const pages = readdirSync(directory, { recursive: true })
  .filter((name) => name.endsWith("index.html"))
  .sort();
let over = false;
for (const page of pages) {
  const html = readFileSync(join(directory, page), "utf8");
  const named = html.matchAll(/(?:src|href)="(\/[^"?]+\.(?:js|css|woff2))[^"]*"/g);
  // Browsers that know modules do not load this one.
  const skipped = new Set(
    [...html.matchAll(/<script[^>]*>/g)]
      .filter(([tag]) => /\snomodule\b/i.test(tag))
      .map(([tag]) => tag.match(/src="([^"]+)"/)?.[1]),
  );
  const files = new Set([...named].map(([, path]) => path).filter((path) => !skipped.has(path)));
  const bytes = [...files].reduce((sum, path) => sum + compressed(path), compressed(page));
  over ||= bytes > BUDGET;
  console.log(
    `${(bytes / 1000).toFixed(1).padStart(7)} kB  ${files.size} files  /${page.replace("index.html", "")}`,
  );
}
console.log(`budget ${BUDGET / 1000} kB: ${over ? "exceeded" : "kept"}`);
process.exit(over || pages.length === 0 ? 1 : 0);
