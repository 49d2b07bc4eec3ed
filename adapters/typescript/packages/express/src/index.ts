export type { Calls } from './call.js';
export type { PermitOptions, Redeemed } from './gate.js';
export { type PermitRequest, permitRequired, permitted } from './middleware.js';
