/** A real Sentinel for the tests: started once, with tools of their own for each test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const TENANT = 'adapters';
const RELEASE = new URL('../../../../target/release/sentinel', import.meta.url).pathname;
export const BINARY = process.env['SENTINEL_BINARY'] ?? RELEASE;
const POLICIES = new URL('policies/', import.meta.url).pathname;
/** What several tests call. */
const TOOLS = ['search', 'denied-tool', 'alert-tool'];

export interface Keys {
  agent: string;
  operator: string;
  auditor: string;
  admin: string;
}

/** Where a control plane is, and the keys to it. */
export interface Place {
  url: string;
  keys: Keys;
}

export interface Started extends Place {
  stop(): Promise<void>;
}

/** Starts a server in a folder of its own. */
export async function start(policies = POLICIES, tools = TOOLS): Promise<Started> {
  const data = await mkdtemp(join(tmpdir(), 'sentinel-ts-'));
  const options = ['dev', '--listen', '127.0.0.1:0', '--data-dir', data, '--policies', policies];
  const server = spawn(BINARY, [...options, '--log', 'json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await address(server);
  const keys = JSON.parse(await readFile(join(data, 'keys.json'), 'utf8')) as Keys;
  const plane = new Plane({ url, keys });
  for (const tool of tools) await plane.register(tool);
  const stop = async () => {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    // What it keeps is thrown away, so it need not stop in order.
    server.kill('SIGKILL');
    await ended;
    await rm(data, { recursive: true });
  };
  return { url, keys, stop };
}

async function address(server: ChildProcess): Promise<string> {
  if (!server.stdout) throw new Error('no output');
  for await (const line of createInterface({ input: server.stdout })) {
    const event = JSON.parse(line) as { event?: string; url?: string };
    if (event.event === 'server.ready' && event.url) {
      server.stdout.resume();
      return event.url;
    }
  }
  throw new Error('the server does not start');
}

export type Json = Record<string, unknown>;

export interface Recorded {
  id: string;
  tool: string;
  code: string;
  call_id: string | null;
  agent: string | null;
}

/** What operators do, and what the records say. */
export class Plane {
  readonly place: Place;

  constructor(place: Place) {
    this.place = place;
  }

  async request(role: keyof Keys, method: string, path: string, body?: Json): Promise<Json> {
    const response = await fetch(this.place.url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.place.keys[role]}`,
        'content-type': 'application/json',
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? (JSON.parse(text) as Json) : {};
  }

  /** Registers a tool and returns its id. */
  async register(name: string, more: Json = {}): Promise<string> {
    const tool = {
      tenant_slug: TENANT,
      name,
      url: 'https://tool.example',
      owner: 'tests',
      scopes: [],
    };
    const made = await this.request('admin', 'POST', '/register', {
      ...tool,
      metadata: {},
      ...more,
    });
    return String(made['id']);
  }

  kill(target: Json): Promise<Json> {
    return this.request('operator', 'POST', '/kill', { reason: 'incident 4711', ...target });
  }

  killTool(tool: string): Promise<Json> {
    return this.kill({ tenant_slug: TENANT, tool_name: tool });
  }

  restore(target: Json): Promise<Json> {
    return this.request('operator', 'POST', '/kill/restore', target);
  }

  /** The decisions about a tool, the last one first. */
  async decisions(tool: string): Promise<Recorded[]> {
    const path = `/v1/decisions?tenant=${TENANT}&tool=${encodeURIComponent(tool)}`;
    const page = await this.request('auditor', 'GET', path);
    return page['items'] as Recorded[];
  }

  /** The decisions of a tool that manifests rest on. */
  async manifests(tool: string): Promise<unknown[]> {
    const path = `/v1/manifests?tenant=${TENANT}&tool=${encodeURIComponent(tool)}`;
    const page = await this.request('auditor', 'GET', path);
    return (page['items'] as { decision_id?: string }[]).map((each) => each.decision_id);
  }

  verify(manifestId: string): Promise<Json> {
    return this.request('auditor', 'GET', `/provenance/verify/${manifestId}`);
  }
}
