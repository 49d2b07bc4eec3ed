import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Options, Sentinel } from '@sentinel-mcp/client';
import { beforeAll, inject, onTestFinished } from 'vitest';
import { type Place, Plane, start, TENANT } from './plane.js';

let own: Place | undefined;

/** Has the tests of this file use a control plane of their own: they kill what others call. */
export function useOwnPlane(): void {
  beforeAll(async () => {
    const started = await start();
    own = started;
    return () => started.stop();
  });
}

/** Where the control plane is: the one that all tests share, or that of this file. */
export function place(): Place {
  return own ?? inject('place');
}

export function plane(): Plane {
  return new Plane(place());
}

/** A client of the real control plane, closed at the end of the test. */
export function client(options: Options = {}): Sentinel {
  const { url, keys } = place();
  return closing({ url, apiKey: keys.agent, ...options });
}

/** A client that is closed at the end of the test. */
export function closing(options: Options): Sentinel {
  const spoolDir = join(tmpdir(), `sentinel-spool-${randomUUID()}`);
  const sentinel = new Sentinel({ tenant: TENANT, spoolDir, ...options });
  onTestFinished(() => sentinel.close());
  return sentinel;
}

/** A name that no other test has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`;
}
