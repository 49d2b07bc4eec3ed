export { type Called, PermitGate, type PermitOptions, type Redeemed } from './gate.js';
export { type PermitRequest, permitRequired, permitted } from './middleware.js';
