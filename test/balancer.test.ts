import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  eventually,
  freePort,
  redisIsInstalled,
  spawnGroup,
  startRedis,
  TestClient,
  type FarmProcess,
} from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ROOT } from './documents/snippets.ts';
import { endAfterTest, startFarm } from './harness/system.ts';

const execute = promisify(execFile);
const HAPROXY = '/usr/sbin/haproxy';
const CONFIGURATION = readFileSync(join(ROOT, 'infra/balancer/haproxy.cfg'), 'utf8');
const CLIENTS = 20;

interface Balancer {
  readonly port: number;
  /** Where the container's health check asks. */
  readonly healthPort: number;
}

function isInstalled(): boolean {
  try {
    accessSync(HAPROXY, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(`The balancer is not tried: "apt-get install haproxy" brings ${HAPROXY} in.\n`);
    return false;
  }
}

/** As in compose: nobody but the balancer is believed, whose address is this machine's here. */
function startFarmBehind(redisUrl: string): Promise<FarmProcess> {
  const proxy = ['--proxy-protocol', 'required', '--trusted-proxies', '127.0.0.1'];
  return startFarm(['--redis-url', redisUrl, '--drain-ms', '400', ...proxy]);
}

/** HAProxy with the configuration of the container: its ports, and servers where a name would be looked up. */
async function startBalancer(farms: readonly FarmProcess[]): Promise<Balancer> {
  const [port, healthPort] = [await freePort(), await freePort()];
  const template = /^ *server-template farm 1-16 roost:8080 (.*) resolvers compose init-addr none$/m;
  const [line, options] = template.exec(CONFIGURATION) ?? [];
  if (line === undefined) throw new Error('There is no such line in infra/balancer/haproxy.cfg.');
  const servers = farms.map((farm, index) => `  server farm${index + 1} 127.0.0.1:${farm.port} ${options}`);
  const text = CONFIGURATION.replace(line, servers.join('\n'))
    .replace('bind :8080', `bind 127.0.0.1:${port}`)
    .replace('bind 127.0.0.1:8090', `bind 127.0.0.1:${healthPort}`);
  const folder = await mkdtemp(join(tmpdir(), 'roost-balancer-'));
  endAfterTest(() => rm(folder, { recursive: true }));
  const path = join(folder, 'haproxy.cfg');
  await writeFile(path, text);
  await execute(HAPROXY, ['-c', '-f', path]);
  // Without -W: a master of its own process would outlive the group's first.
  const haproxy = spawnGroup(HAPROXY, ['-db', '-f', path]);
  const ended = once(haproxy, 'close');
  endAfterTest(async () => {
    haproxy.kill('SIGTERM');
    await ended;
  });
  return { port, healthPort };
}

async function connectThrough({ port }: Balancer, path: string, localAddress?: string): Promise<TestClient> {
  const client = await TestClient.connect(
    `ws://127.0.0.1:${port}${path}`,
    localAddress === undefined ? {} : { localAddress },
  );
  endAfterTest(() => client.terminate());
  return client;
}

/** What the balancer says of itself: 200 while a farm is ready. */
async function healthOf({ healthPort }: Balancer): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${healthPort}/health/ready`, {
    headers: { Connection: 'close' },
  });
  return response.status;
}

describe.skipIf(!isInstalled() || !redisIsInstalled())(
  'two farms behind the balancer of infra/balancer (skipped without haproxy or redis-server)',
  () => {
    it('share the clients, know their addresses, and hand them over when one stops', async () => {
      const redis = await startRedis();
      endAfterTest(() => redis.stop());
      const [first, second] = [await startFarmBehind(redis.url), await startFarmBehind(redis.url)];
      const balancer = await startBalancer([first, second]);
      await eventually(async () => expect(await healthOf(balancer)).toBe(200));

      const who = await eventually(() => connectThrough(balancer, '/who', '127.0.0.9'));
      expect((await who.nextMessage()).text).toBe('127.0.0.9');

      const clients: TestClient[] = [];
      for (let count = 0; count < CLIENTS; count += 1) {
        clients.push(await connectThrough(balancer, '/news?channel=news'));
      }
      await redis.command('PUBLISH', 'roost:channel:news', 'to all');
      for (const client of clients) expect((await client.nextMessage()).text).toBe('to all');

      let hasStopped = false;
      const codes: number[] = [];
      let returnedCount = 0;
      // At once, as the worst of clients do: nobody is refused.
      const comeBack = async (client: TestClient, index: number): Promise<void> => {
        const { code } = await client.closed;
        if (hasStopped) return;
        codes.push(code);
        clients[index] = await connectThrough(balancer, '/news?channel=news');
        returnedCount += 1;
      };
      const comings = Promise.all(clients.map(comeBack));
      first.signal('SIGTERM');
      expect((await first.exited).code).toBe(0);
      // Half were its own, and were told; the others heard nothing of it.
      await eventually(() => expect(codes).toEqual(Array(CLIENTS / 2).fill(1001)));
      await Promise.race([eventually(() => expect(returnedCount).toBe(CLIENTS / 2)), comings]);
      hasStopped = true;

      await redis.command('PUBLISH', 'roost:channel:news', 'to all again');
      for (const client of clients) expect((await client.nextMessage()).text).toBe('to all again');

      second.signal('SIGTERM');
      await eventually(async () => expect(await healthOf(balancer)).toBe(503));
    });
  },
);
