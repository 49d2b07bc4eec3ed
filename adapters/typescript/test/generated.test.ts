import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Set while the two are on different branches. */
const CONFORMANCE =
  process.env['CONFORMANCE_DIR'] ?? new URL('../../conformance', import.meta.url).pathname;

test('the committed types are those of docs/openapi.json', async () => {
  const script = new URL('../scripts/generate.mjs', import.meta.url).pathname;
  await promisify(execFile)(process.execPath, [script, '--check']);
});

test.each([
  ['cases.json', 'cases.json'],
  ['policy.rego', 'policies/policy.rego'],
])('the kit has the %s of adapters/conformance', async (copy, original) => {
  const kit = new URL(`../packages/client/src/conformance/${copy}`, import.meta.url);
  expect(await readFile(kit, 'utf8')).toBe(await readFile(join(CONFORMANCE, original), 'utf8'));
});
