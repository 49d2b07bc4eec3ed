import { type Case, cases, check, type Harness } from '@sentinel-mcp/client/conformance';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { type Started, start } from '../kit/plane.js';
import { renewed } from './real.js';

const POLICIES = new URL('../../packages/client/src/conformance/', import.meta.url).pathname;

const named = (list: Case[]): [string, Case][] => list.map((one) => [one.id, one]);

/** All cases, with the control plane of the kit. */
export function conforms(harness: Harness, fetch?: typeof globalThis.fetch): void {
  describe(`${harness.name} conforms${fetch ? ' by fetch' : ''}`, () => {
    test.each(named(cases(harness.lacks)))('%s', async (_, one) => {
      await check(one, harness, undefined, fetch);
    });
  });
}

/** The cases in which a real control plane can take part, with one. */
export function conformsForReal(harness: Harness, prefix = ''): void {
  describe(`${harness.name} conforms with a real control plane`, () => {
    let started: Started;
    beforeAll(async () => {
      started = await start(POLICIES, []);
    });
    afterAll(() => started.stop());
    test.each(named(cases(harness.lacks, true)))('%s', async (_, one) => {
      await check(one, harness, await renewed(started, prefix));
    });
  });
}
