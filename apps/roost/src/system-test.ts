import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endAll, patient, startServer, startRedis, TestClient } from '@roost/testing';
import type { FarmProcess, RedisFixture, StartServerOptions } from '@roost/testing';
import { afterAll, afterEach, beforeAll } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/roost.js', import.meta.url));
export const API_KEY = 'sesame';

const DEFAULT_ARGS = ['--workers', '2', '--api-key', API_KEY, '--drain-ms', '0'];

/** What the file under test opened; closed after each test. */
const opened: (() => Promise<unknown>)[] = [];

/** Makes each test of the file close what it opened with {@link start} and {@link connect}. */
export function closeAfterEach(): void {
  afterEach(() => endAll(opened));
}

/** A server with two workers and the key `sesame` that drains at once, unless `args` say otherwise. */
export async function start(
  args: readonly string[] = [],
  options: StartServerOptions = {},
): Promise<FarmProcess> {
  const farm = await startServer([...DEFAULT_ARGS, ...args], options);
  opened.push(() => farm.stop());
  return farm;
}

/** A Redis of the running test. */
export async function startOwnRedis(): Promise<RedisFixture> {
  const redis = await startRedis();
  opened.push(() => redis.stop());
  return redis;
}

/** As {@link start}, one server for all tests of the block that this is called in: ask for it inside a test. */
export function serverForAll(args: readonly string[] = []): () => FarmProcess {
  let farm: FarmProcess | undefined;
  beforeAll(async () => {
    farm = await startServer([...DEFAULT_ARGS, ...args]);
  });
  afterAll(async () => {
    await farm?.stop();
  });
  return () => {
    if (farm === undefined) throw new Error('the server is started before the first test');
    return farm;
  };
}

export async function connect(farm: FarmProcess, path: string): Promise<TestClient> {
  const client = await TestClient.connect(farm.url + path);
  opened.push(() => client.terminate());
  return client;
}

/** An HTTP request to the server. */
export function request(farm: FarmProcess, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${farm.port}${path}`, init);
}

/** POSTs to the HTTP API with the key, and returns status and JSON body. */
export async function call(
  farm: FarmProcess,
  method: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = { 'X-API-Key': API_KEY },
): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await request(farm, `/api/${method}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `roost …words`, which is expected to end by itself. */
export async function run(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...words], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: patient(15_000),
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { exitCode: child.exitCode, stdout, stderr };
}
