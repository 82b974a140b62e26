import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request as requestPlainly, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as requestSecurely } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, makeCertificate, TestClient, type FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { command, controlSocket, lives, type Answer } from './harness/control.ts';
import {
  API_KEY,
  connectRaw,
  endAfterTest,
  expectEcho,
  startFarm,
  type ApiAnswer,
} from './harness/system.ts';

const RELOAD = { command: 'reload' };
const BODY = JSON.stringify({ channel: 'news', data: 'in two halves' });
const { cert, key } = makeCertificate();

/** A farm of one worker, so that everybody is at the one that retires. */
async function farmOf(kind: 'http' | 'https', args: readonly string[] = []) {
  const socket = controlSocket();
  const folder = mkdtempSync(join(tmpdir(), 'roost-retire-'));
  endAfterTest(async () => rmSync(folder, { recursive: true }));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const tls = kind === 'https' ? ['--tls-cert', certFile, '--tls-key', keyFile] : [];
  const own = ['--control-socket', socket, '--workers', '1', '--probation-ms', '0'];
  const farm = await startFarm([...own, ...tls, ...args]);
  return { socket, farm };
}

/** One client over HTTP, whose requests go over one connection as long as that is kept. */
class HttpClient {
  readonly #kind: 'http' | 'https';
  readonly #farm: FarmProcess;
  readonly #agent: Agent;
  /** How its connections have ended: an error, or nothing. */
  readonly ends: (Error | undefined)[] = [];
  connections = 0;

  constructor(kind: 'http' | 'https', farm: FarmProcess) {
    this.#kind = kind;
    this.#farm = farm;
    this.#agent =
      kind === 'https'
        ? new SecureAgent({ keepAlive: true, maxSockets: 1 })
        : new Agent({ keepAlive: true, maxSockets: 1 });
    endAfterTest(async () => this.#agent.destroy());
  }

  begin(
    path: string,
    options: { method?: string; headers?: Record<string, string | number> } = {},
  ): ClientRequest {
    const where = { host: 'localhost', port: this.#farm.port, path, ...options };
    const request =
      this.#kind === 'https'
        ? requestSecurely({ ...where, ca: cert, agent: this.#agent })
        : requestPlainly({ ...where, agent: this.#agent });
    request.on('socket', (socket) => {
      if (socket.listenerCount('close', this.#onClose) > 0) return;
      this.connections++;
      let failure: Error | undefined;
      socket.on('error', (error) => (failure = error));
      socket.on('close', () => this.ends.push(failure));
      socket.on('close', this.#onClose);
    });
    return request;
  }

  readonly #onClose = (): void => undefined;

  async get(path: string): Promise<string> {
    return textOf(this.begin(path).end());
  }
}

async function textOf(request: ClientRequest): Promise<string> {
  const [response]: IncomingMessage[] = await once(request, 'response');
  let text = '';
  for await (const chunk of response ?? []) text += String(chunk);
  return text;
}

/** A request of which half has been read by the worker. */
async function halfPublished(client: HttpClient): Promise<ClientRequest> {
  const request = client.begin('/api/publish', {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY, 'Content-Length': BODY.length, Expect: '100-continue' },
  });
  request.flushHeaders();
  // Whoever says so has read the head.
  await once(request, 'continue');
  request.write(BODY.slice(0, 10));
  return request;
}

async function untilRetiring(socket: string, pid: number): Promise<void> {
  await eventually(async () => {
    expect((await lives(socket)).find((life) => life.pid === pid)?.state).toBe('draining');
  });
}

describe.each(['http', 'https'] as const)('requests at a worker that retires, over %s', (kind) => {
  it('are answered by it, and then it goes', async () => {
    const { socket, farm } = await farmOf(kind);
    const client = new HttpClient(kind, farm);
    const request = await halfPublished(client);
    const pid = (await lives(socket))[0]?.pid ?? 0;
    const reload = command(socket, RELOAD);
    await untilRetiring(socket, pid);
    // New clients are elsewhere by now.
    expect(await new HttpClient(kind, farm).get('/pid')).not.toBe(String(pid));
    request.end(BODY.slice(10));
    expect(JSON.parse(await textOf(request))).toEqual({ result: {} });
    expect(await reload).toMatchObject({ done: { closed: 0, lost: 0 } });
    await eventually(() => expect(client.ends).toEqual([undefined]));
    expect((await lives(socket)).map((life) => life.pid)).not.toContain(pid);
  });

  it('that do not end are cut off after retireMs', async () => {
    const { socket, farm } = await farmOf(kind, ['--retire-ms', '300']);
    const client = new HttpClient(kind, farm);
    const request = await halfPublished(client);
    const failed = once(request, 'error');
    expect(await command(socket, RELOAD)).toMatchObject({ done: { closed: 0 } });
    expect(String((await failed)[0])).toMatch(/hang up|ECONNRESET/);
  });
});

describe('a kept-alive connection between two requests', () => {
  it('moves to the new worker where it can', async () => {
    const { socket, farm } = await farmOf('http');
    const client = await connectRaw(farm.port);
    const get = 'GET /pid HTTP/1.1\r\nHost: roost.test\r\n\r\n';
    client.writeText(get);
    await client.readHead();
    expect(await command(socket, RELOAD)).toMatchObject({ done: { closed: 0 } });
    const [now] = await lives(socket);
    client.writeText(get);
    await eventually(() => expect(client.unread.toString()).toContain(`\r\n\r\n${now?.pid}`));
  });

  it('over TLS is ended without an error, and the next request goes to the new worker', async () => {
    const { socket, farm } = await farmOf('https');
    const client = new HttpClient('https', farm);
    const pid = await client.get('/pid');
    expect(await client.get('/pid')).toBe(pid);
    expect(client.connections).toBe(1);
    expect(await command(socket, RELOAD)).toMatchObject({ done: { closed: 0 } });
    await eventually(() => expect(client.ends).toEqual([undefined]));
    expect(await client.get('/pid')).not.toBe(pid);
    // Nor does the reload wait for it to become one that moves.
    const asked = client.begin('/api/info', { method: 'POST', headers: { 'X-API-Key': API_KEY } });
    const { result }: ApiAnswer = JSON.parse(await textOf(asked.end('{}')));
    expect(result?.nodes?.[0]?.counters['move_rows_postponed']).toBe(0);
  });
});

describe('WebSocket connections over TLS at a worker that retires', () => {
  it('are closed with 1012, evenly over drainMs, and counted; who comes back is served at once', async () => {
    const DRAIN_MS = 1500;
    const COUNT = 30;
    const { socket, farm } = await farmOf('https', ['--drain-ms', String(DRAIN_MS)]);
    const connect = async (): Promise<TestClient> => {
      const client = await TestClient.connect(`wss://localhost:${farm.port}/echo`, { ca: cert });
      endAfterTest(() => client.terminate());
      return client;
    };
    const clients = await Promise.all(Array.from({ length: COUNT }, connect));
    const closedAt: number[] = [];
    const returned = clients.map(async (client) => {
      const { code } = await client.closed;
      closedAt.push(performance.now());
      const again = await connect();
      await expectEcho(again, 'back');
      return code;
    });
    const answer: Answer = await command(socket, RELOAD);
    expect(answer).toMatchObject({ done: { moved: 0, left: 0, closed: COUNT, lost: 0 } });
    expect(await Promise.all(returned)).toEqual(Array.from({ length: COUNT }, () => 1012));
    const [first = 0, last = 0] = [closedAt[0], closedAt.at(-1)];
    // The first are closed at once and the last after all steps but one, whatever the machine does meanwhile.
    expect(last - first).toBeGreaterThan(DRAIN_MS / 2);
    expect(closedAt.filter((at) => at - first < DRAIN_MS / 2).length).toBeLessThanOrEqual(COUNT * 0.75);
    const status = await lives(socket);
    expect(status).toMatchObject([{ role: 'current', connections: COUNT }]);
  });
});
