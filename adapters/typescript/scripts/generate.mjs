// Writes the types of Sentinel's HTTP interface, as docs/openapi.json describes it. With `--check`, fails when the
// committed file is not what would be written.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';

const SOURCE = new URL('../../../docs/openapi.json', import.meta.url);
const TARGET = new URL('../packages/client/src/generated/openapi.ts', import.meta.url);
const HEADER = '// Generated from docs/openapi.json by `npm run generate`. Do not edit.\n\n';

const text = HEADER + astToString(await openapiTS(SOURCE, { alphabetize: true }));
if (process.argv.includes('--check')) {
  if ((await readFile(TARGET, 'utf8')) !== text) {
    console.error('packages/client/src/generated/openapi.ts is stale: run `npm run generate`');
    process.exit(1);
  }
} else {
  await writeFile(TARGET, text);
}
