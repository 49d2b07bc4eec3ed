/** Which call a request makes. */
import type { Arguments } from '@sentinel-mcp/client';
import { unreadable } from './refusal.js';

/**
 * How the requests of a server make calls. With `tool`, each is a call of this tool: its body is the object of the
 * arguments, or empty. With `mcp`, the server speaks MCP over HTTP: `tools/call` is a call, with `prefix` in front of
 * the name that the client uses, and other messages pass.
 */
export type Calls =
  | { tool: string; mcp?: undefined }
  | { mcp: { prefix?: string }; tool?: undefined };

export interface Call {
  tool: string;
  arguments: Arguments;
  /** The `id` of the message, of an MCP request. */
  id?: unknown;
  /** The permit, where an MCP request carries it in `_meta`. */
  permit?: string;
}

export interface Head {
  method?: string | undefined;
  url?: string | undefined;
}

/** The call of a request with this parsed body; `undefined` when it is nothing that is governed. @throws Refusal */
export function read(calls: Calls, { method, url = '' }: Head, body: unknown): Call | undefined {
  if (calls.mcp) return method === 'POST' ? message(calls.mcp.prefix ?? '', body) : undefined;
  // What is in the query would reach the tool undecided.
  if (/\?./.test(url)) {
    throw unreadable('the query of a call has to be empty: its arguments are in the body');
  }
  if (body === undefined) return { tool: calls.tool, arguments: {} };
  if (!isObject(body)) throw unreadable('the arguments are not an object');
  return { tool: calls.tool, arguments: body };
}

function message(prefix: string, body: unknown): Call | undefined {
  if (Array.isArray(body)) throw unreadable('a batch of messages is refused: send each by itself');
  if (!isObject(body)) throw unreadable('the message is not an object');
  const { method, params, id } = body;
  if (method !== undefined && typeof method !== 'string')
    throw unreadable('`method` is not a text');
  if (method !== 'tools/call') return undefined;
  if (!isObject(params)) throw unreadable('the message has no `params`');
  const { name, arguments: args = {}, _meta: meta = {} } = params;
  if (typeof name !== 'string') throw unreadable('the message names no tool');
  if (!isObject(args)) throw unreadable('its `arguments` are not an object');
  const permit = isObject(meta) ? meta['sentinel/permit'] : undefined;
  const carried = typeof permit === 'string' ? { permit } : {};
  return { tool: `${prefix}${name}`, arguments: args, id, ...carried };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
