import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const DIST = new URL('../../packages/client/dist', import.meta.url).pathname;
/** What a browser takes, by the field `imports` of the package. */
const CONDITIONAL: Record<string, string> = {
  '#platform': 'platform/browser.js',
  '#spool': 'spool/none.js',
};

/** The modules that are loaded with one, itself included, and what they import from elsewhere. */
async function loaded(file: string, seen: Set<string>, foreign: Set<string>): Promise<void> {
  if (seen.has(file)) return;
  seen.add(file);
  const text = await readFile(file, 'utf8');
  for (const [, name = ''] of text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'/gm)) {
    const conditional = CONDITIONAL[name];
    if (conditional) await loaded(join(DIST, conditional), seen, foreign);
    else if (name.startsWith('.')) await loaded(join(dirname(file), name), seen, foreign);
    else foreign.add(name);
  }
}

test('in a browser nothing of Node and no other package is loaded', async () => {
  const [seen, foreign] = [new Set<string>(), new Set<string>()];
  await loaded(join(DIST, 'index.js'), seen, foreign);
  expect([...foreign]).toEqual([]);
  expect(seen.has(join(DIST, 'client.js'))).toBe(true);
  expect(seen.has(join(DIST, 'platform/browser.js'))).toBe(true);
  const { dependencies, imports } = JSON.parse(
    await readFile(join(DIST, '../package.json'), 'utf8'),
  );
  expect(dependencies).toBeUndefined();
  for (const [name, file] of Object.entries(CONDITIONAL)) {
    expect(imports[name].default).toBe(`./dist/${file}`);
    expect(Object.keys(imports[name])).toEqual(['node', 'default']);
  }
});
