// Moves the inline scripts of an exported site into files, so that `script-src 'self'` holds.
//
// Next writes the data of a page into inline scripts (`self.__next_f.push(…)`). They run in the
// order of the document and need nothing that follows them, so one file a page, loaded in place of
// the last of them, does the same: until it has run, Next's own scripts wait for the data.
//
// Usage: node scripts/external-scripts.mjs out

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const INLINE = /<script(?![^>]*\ssrc=)([^>]*)>([\s\S]*?)<\/script>/g;
/** Not run, so the policy does not concern them. */
const DATA = /type="(?:application|text)\/(?!javascript)[^"]*"/;

/** The document without inline scripts, and what they said. */
export function extract(html) {
  const scripts = [];
  for (const [tag, attributes, body] of html.matchAll(INLINE)) {
    if (!DATA.test(attributes)) scripts.push({ tag, body });
  }
  if (scripts.length === 0) return { html, script: null };
  const script = `${scripts.map(({ body }) => body).join(";\n")};\n`;
  const name = `/_next/static/page-${createHash("sha256").update(script).digest("hex").slice(0, 16)}.js`;
  let rest = html;
  scripts.forEach(({ tag }, index) => {
    const last = index === scripts.length - 1;
    rest = rest.replace(tag, () => (last ? `<script src="${name}"></script>` : ""));
  });
  return { html: rest, script: { name, text: script } };
}

/** What the policy would refuse in a document: inline scripts, handlers and styles. */
export function refused(html) {
  const found = [];
  for (const [tag, attributes] of html.matchAll(INLINE))
    if (!DATA.test(attributes)) found.push(tag);
  for (const [tag] of html.matchAll(/<[a-z][^>]*\s(?:on[a-z]+|style)="[^>]*>/gi)) found.push(tag);
  for (const [tag] of html.matchAll(/<style[\s>]/g)) found.push(tag);
  return found.map((tag) => tag.slice(0, 120));
}

function htmlFiles(directory) {
  return readdirSync(directory, { recursive: true })
    .filter((name) => name.endsWith(".html"))
    .map((name) => join(directory, name));
}

function main(directory) {
  mkdirSync(join(directory, "_next/static"), { recursive: true });
  let left = 0;
  for (const file of htmlFiles(directory)) {
    const { html, script } = extract(readFileSync(file, "utf8"));
    if (script) writeFileSync(join(directory, script.name), script.text);
    writeFileSync(file, html);
    for (const tag of refused(html)) {
      left += 1;
      console.error(`${file}: ${tag}`);
    }
  }
  if (left > 0) process.exit(1);
}

if (import.meta.filename === process.argv[1]) main(process.argv[2] ?? "out");
