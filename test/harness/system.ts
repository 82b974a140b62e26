import { fileURLToPath } from 'node:url';
import { endAll, RawClient, startServer, TestClient } from '@roost/testing';
import type { FarmProcess, StartServerOptions } from '@roost/testing';
import { afterEach } from 'vitest';
import { expectDescribed } from '../../apps/roost/src/fixtures/openapi.ts';

export const API_KEY = 'sesame';

/** See the module itself for its paths. */
const PROBE_APP = fileURLToPath(new URL('../apps/probe.js', import.meta.url));

/** What the running test has opened, to be ended after it in reverse order. */
const opened: (() => Promise<unknown>)[] = [];

afterEach(() => endAll(opened));

/** Has `end` called after the running test. */
export function endAfterTest(end: () => Promise<unknown>): void {
  opened.push(end);
}

/** A farm with the probe app, two workers and the key {@link API_KEY} that drains at once, unless `args` say otherwise. */
export async function startFarm(
  args: readonly string[] = [],
  options: StartServerOptions = {},
): Promise<FarmProcess> {
  const farm = await startSharedFarm(args, options);
  endAfterTest(() => farm.stop());
  return farm;
}

/** As {@link startFarm}, for all tests of a file: the caller stops it. */
export function startSharedFarm(
  args: readonly string[] = [],
  options: StartServerOptions = {},
): Promise<FarmProcess> {
  return startServer(
    [PROBE_APP, '--workers', '2', '--api-key', API_KEY, '--drain-ms', '0', ...args],
    options,
  );
}

/** A WebSocket client of a farm. */
export async function connect(farm: FarmProcess, path: string): Promise<TestClient> {
  const client = await TestClient.connect(farm.url + path);
  endAfterTest(() => client.terminate());
  return client;
}

export function connectMany(farm: FarmProcess, path: string, count: number): Promise<TestClient[]> {
  return Promise.all(Array.from({ length: count }, () => connect(farm, path)));
}

/** A TCP client. */
export async function connectRaw(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  endAfterTest(() => client.close());
  return client;
}

/** Sends a message and rejects unless exactly that comes back. */
export async function expectEcho(client: TestClient, text: string): Promise<void> {
  client.send(text);
  const answer = await client.nextMessage();
  if (answer.text !== text) throw new Error(`The echo of ${text} was ${answer.text}.`);
}

/** An upgrade request with the key of RFC 6455 §1.3; `undefined` leaves a header out. */
export function upgradeRequest(
  path = '/echo',
  headers: Readonly<Record<string, string | undefined>> = {},
  line = `GET ${path} HTTP/1.1`,
): string {
  const all = {
    Host: 'roost.test',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return [line, ...lines, '', ''].join('\r\n');
}

/** The first line of the response to {@link upgradeRequest}, when it is let in. */
export const SWITCHING = 'HTTP/1.1 101 Switching Protocols';

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What a method of the HTTP API answers. */
export interface ApiAnswer {
  readonly result?: { readonly nodes?: readonly NodeInfo[]; readonly [member: string]: unknown };
  readonly error?: { readonly code: number; readonly message: string };
}

export interface NodeInfo {
  readonly num_clients: number;
  readonly readiness: Readiness;
  readonly broker: { readonly kind: string; readonly state: string; readonly reason: string };
  readonly workers: readonly {
    readonly worker: number;
    readonly pid: number;
    readonly cpu: number | null;
    readonly state: string;
    readonly connections: number;
    readonly outboundBytes: number;
    readonly restarts: number;
  }[];
  readonly counters: Readonly<Record<string, number>>;
}

/** POSTs to the HTTP API and returns status and JSON body, which the OpenAPI document describes. */
export async function call(
  farm: FarmProcess,
  method: string,
  body: object = {},
): Promise<{ readonly status: number; readonly body: ApiAnswer }> {
  const response = await fetch(`http://127.0.0.1:${farm.port}/api/${method}`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY, Connection: 'close' },
    body: JSON.stringify(body),
  });
  await expectDescribed('POST', `/api/${method}`, response);
  const answer: ApiAnswer = JSON.parse(await response.text());
  return { status: response.status, body: answer };
}

/** What the farm says of itself. */
export async function info(farm: FarmProcess): Promise<NodeInfo> {
  const { status, body } = await call(farm, 'info');
  const node = body.result?.nodes?.[0];
  if (node === undefined) throw new Error(`/api/info answered ${status}: ${JSON.stringify(body)}`);
  return node;
}

/** One counter of the farm. */
export async function counter(farm: FarmProcess, name: string): Promise<number> {
  const count = (await info(farm)).counters[name];
  if (count === undefined) throw new Error(`There is no counter ${name}.`);
  return count;
}

/** A GET on a connection of its own: status, headers and body. */
export async function get(
  farm: FarmProcess,
  path: string,
): Promise<{ status: number; headers: Headers; body: string }> {
  const response = await fetch(`http://127.0.0.1:${farm.port}${path}`, { headers: { Connection: 'close' } });
  return { status: response.status, headers: response.headers, body: await response.text() };
}
