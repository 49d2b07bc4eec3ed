import type { TestProject } from 'vitest/node';
import { type Place, start } from './plane.js';

declare module 'vitest' {
  export interface ProvidedContext {
    place: Place;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, keys, stop } = await start();
  project.provide('place', { url, keys });
  return stop;
}
