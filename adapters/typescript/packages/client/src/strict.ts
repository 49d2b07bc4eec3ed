/** JSON as one reads it who must not be misled: of two equal keys, `JSON.parse` would take the last in silence. */

/** @throws SyntaxError when the text is not JSON, or a key occurs twice in an object. */
export function parseStrictly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // A text that is written again as it was has no key twice; Sentinel's answers are such.
  if (JSON.stringify(value) !== text) refuseRepeatedKeys(text);
  return value;
}

const TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g;

/** The text is known to be JSON, so texts and braces are enough to find the keys. */
function refuseRepeatedKeys(text: string): void {
  const open: Set<string>[] = [];
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) throw new SyntaxError('a key occurs twice');
      keys?.add(key);
    }
  }
}
