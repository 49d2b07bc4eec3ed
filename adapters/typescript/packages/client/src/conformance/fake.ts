/** A control plane on the loopback, which can be told to misbehave. It decides nothing that matters. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CannedAnswer, Case, Misbehaviour, Target } from './cases.js';
import type { ConformancePlane, Signed } from './plane.js';

type Json = Record<string, unknown>;

interface FakeKill {
  kill_id: string;
  scope: string;
  tenant: string;
  tool: string | null;
  agent: string | null;
  label: string | null;
  reason: string;
}

const DRIP_MS = 50;
const HUGE = 64 * 1024 * 1024;

export class FakePlane implements ConformancePlane {
  readonly tenant = 'conformance';
  readonly apiKey = 'snt_agent_conformance';
  readonly principal = 'conformance-key';
  url = '';
  /** How often a redirect was followed to the server that allows everything. */
  followed = 0;
  /** The checks that came in. */
  readonly checked: Json[] = [];
  readonly #answers: Record<string, Misbehaviour | undefined>;
  readonly #decisions: string[] = [];
  readonly #signed: Signed[] = [];
  readonly #kills = new Map<string, FakeKill>();
  readonly #streams = new Set<ServerResponse>();
  readonly #servers: Server[] = [];
  #metered = 0;
  #epoch = 1;
  #allowAll = '';

  constructor({ check, sign }: Pick<Case, 'check' | 'sign'>) {
    this.#answers = { '/policy/check': check, '/provenance/sign': sign };
  }

  async start(): Promise<this> {
    this.url = await this.#serve((request, response) => void this.#answer(request, response));
    this.#allowAll = await this.#serve((_, response) => {
      this.followed += 1;
      send(response, 200, allow(randomUUID()));
    });
    if (this.#answers['/policy/check']?.fault === 'refuse')
      await closed(this.#servers[0] as Server);
    return this;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(closed));
  }

  async kill(target: Target): Promise<void> {
    const named = ['tool_name', 'agent', 'principal'].find((name) => name in target);
    const kind = named?.replace('_name', '') ?? 'tenant';
    const kill: FakeKill = {
      kill_id: randomUUID(),
      scope: kind === 'tool' || kind === 'tenant' ? kind : `tenant_${kind}`,
      tenant: this.tenant,
      tool: target['tool_name'] ?? null,
      agent: target['agent'] ?? null,
      label: target['principal'] ?? null,
      reason: target['reason'] ?? '',
    };
    this.#epoch += 1;
    this.#kills.set(kill.kill_id, kill);
    this.#tell('kill_switch.disabled', kill);
  }

  async restore(target: Target): Promise<void> {
    this.#epoch += 1;
    for (const kill of [...this.#kills.values()]) {
      if (kill.tool !== (target['tool_name'] ?? null) || kill.agent !== (target['agent'] ?? null))
        continue;
      this.#kills.delete(kill.kill_id);
      this.#tell('kill_switch.restored', kill);
    }
  }

  async decisions(): Promise<string[]> {
    return [...this.#decisions];
  }

  async signed(): Promise<Signed[]> {
    return [...this.#signed];
  }

  async #serve(
    listener: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const server = createServer(listener);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    if (request.method === 'GET' && path.startsWith('/v1/events')) return this.#subscribe(response);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as Json;
    if (path === '/policy/check') this.checked.push(body);
    const wanted = this.#answers[path];
    if (wanted) return this.#misbehave(response, wanted);
    const [status, document] = this.#truth(path, body);
    send(response, status, document);
  }

  #truth(path: string, body: Json): [number, Json] {
    switch (path) {
      case '/policy/check':
        return this.#decide(body);
      case '/provenance/sign':
        this.#signed.push({
          tool: String(body['tool_name']),
          payload: body['payload'] as Json,
          decisionId: body['decision_id'] as string,
        });
        return [201, { manifest_id: randomUUID() }];
      case '/v1/permits/resume':
        if (this.#kills.size > 0) return [409, problem(409, 'killed', 'a kill covers the call')];
        return [200, { resumed: true, decision_id: body['decision_id'] }];
      default:
        return [404, problem(404, 'unknown_route', 'no such route')];
    }
  }

  #decide(check: Json): [number, Json] {
    const [tool, made] = [String(check['tool_name']), randomUUID()];
    this.#decisions.push(made);
    const kill = this.#covering(tool, String(check['agent'] ?? ''));
    if (tool === 'unregistered') {
      return [404, { ...problem(404, 'unknown_tool', 'tool not found'), decision_id: made }];
    }
    if (kill) return [200, deny(made, 'killed', `killed (${kill.scope}): ${kill.reason}`)];
    if (tool === 'forbidden') return [200, deny(made, 'policy_denied', 'writes need an approval')];
    if (tool === 'metered') this.#metered += 1;
    if (tool === 'metered' && this.#metered > 1) {
      return [200, deny(made, 'quota_exceeded', 'quota of 1 per 1d is used up')];
    }
    return [200, allow(made)];
  }

  #covering(tool: string, agent: string): FakeKill | undefined {
    const covers = (kill: FakeKill) =>
      (kill.tool ?? tool) === tool && (kill.agent ?? agent).toLowerCase() === agent.toLowerCase();
    return [...this.#kills.values()].find(covers);
  }

  #subscribe(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const kills = [...this.#kills.values()].map((kill) => ({ ...kill, in_force: true }));
    response.write(event('sync', { event: 'sync', epoch: this.#epoch, gap: false, kills }));
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
  }

  #tell(name: string, kill: FakeKill): void {
    const { kill_id, scope, agent, label, tenant, tool, reason } = kill;
    const metadata = { kill_id, scope, agent, label, epoch: this.#epoch };
    const data = { event: name, tenant, tool, reason, timestamp: '2026-11-29T00:00:00Z', metadata };
    for (const stream of this.#streams) stream.write(event(name, data, `run-${this.#epoch}`));
  }

  #misbehave(response: ServerResponse, { answer, fault, of, bytes }: Misbehaviour): void {
    if (answer) {
      const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
        name,
        value.replace('{allow_all}', this.#allowAll),
      ]);
      const body = content(answer);
      const length = answer.status === 204 ? {} : { 'content-length': body.length };
      response.writeHead(answer.status, { ...Object.fromEntries(headers), ...length }).end(body);
      return;
    }
    const { socket } = response;
    switch (fault) {
      case 'hang':
        return;
      case 'close':
        return void socket?.end();
      case 'raw':
        return void socket?.end(bytes ?? '');
      case 'half': {
        const body = content(of as CannedAnswer);
        response.writeHead(200, { ...of?.headers, 'content-length': body.length + 1 });
        response.write(body, () => socket?.end());
        return;
      }
      case 'drip':
        drip(response);
        return;
      case 'huge':
        flood(response);
        return;
      default:
        throw new Error(`the fault \`${fault}\` is not known`);
    }
  }
}

/** Sends the head of an answer byte by byte, without end. */
function drip(response: ServerResponse): void {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-slow: ';
  let sent = 0;
  const timer = setInterval(() => {
    response.socket?.write(head[sent] ?? 'x');
    sent += 1;
  }, DRIP_MS);
  response.on('close', () => clearInterval(timer));
}

function flood(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': HUGE });
  const piece = Buffer.alloc(65_536, ' ');
  let left = HUGE;
  const more = () => {
    while (left > 0 && !response.destroyed) {
      left -= piece.length;
      if (!response.write(piece)) return;
    }
  };
  response.on('drain', more);
  more();
}

function content({ body, repeat = '', times = 0, hex = '', then = '' }: CannedAnswer): Buffer {
  return Buffer.concat([
    Buffer.from(body + repeat.repeat(times)),
    Buffer.from(hex, 'hex'),
    Buffer.from(then),
  ]);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function send(response: ServerResponse, status: number, body: Json): void {
  const type = status < 300 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
}

function event(name: string, data: Json, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function allow(made: string): Json {
  return {
    allow: true,
    code: 'allowed',
    reason: 'allowed by policy',
    decision_id: made,
    reasons: [],
    obligations: [],
  };
}

function deny(made: string, code: string, reason: string): Json {
  return { ...allow(made), allow: false, code, reason };
}

function problem(status: number, code: string, detail: string): Json {
  const type = `https://sentinel-mcp.dev/problems/${code}`;
  return { type, title: code, status, detail, code, request_id: 'r', allow: false };
}
