import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Options, Sentinel } from '@sentinel-mcp/client';
import { inject, onTestFinished } from 'vitest';
import { Plane, TENANT } from './plane.js';

/** The real control plane that all tests share. */
export function plane(): Plane {
  return new Plane(inject('place'));
}

/** A client of the real control plane, closed at the end of the test. */
export function client(options: Options = {}): Sentinel {
  const { url, keys } = inject('place');
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
