/** The conformance kit: the cases that every adapter must pass, and a control plane that plays its part in them. */
export { type Capability, type Case, cases, type PlannedCall } from './cases.js';
export { check, type Harness, type Session } from './check.js';
export { FakePlane } from './fake.js';
export type { ConformancePlane, Signed } from './plane.js';
export { type KitTool, type Run, TOOLS, Toolbox, type ToolName } from './toolbox.js';
