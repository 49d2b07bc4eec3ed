export { govern } from './govern.js';
export { type HookOptions, sentinelHooks } from './hooks.js';
