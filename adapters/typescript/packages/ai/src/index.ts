export { governApproval } from './approval.js';
export { type GovernOptions, governTools, UngovernedTool } from './tools.js';
