import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, livingMembers, spawnGroup } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const FARM = new URL('../packages/farm/dist/index.js', import.meta.url);
const WS = import.meta.resolve('ws');
const PROBE = fileURLToPath(new URL('apps/probe.js', import.meta.url));

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roost-embedding-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** Runs a program that can start farms with `options`, to its end: the lines that it prints. */
async function printed(program: string): Promise<string[]> {
  const path = join(folder, 'program.mjs');
  const options = { app: PROBE, host: '127.0.0.1', workers: 1, drainMs: 0 };
  await writeFile(
    path,
    `import { startFarm } from ${JSON.stringify(FARM.href)};
const options = ${JSON.stringify(options)};
${program}`,
  );
  const child = spawnGroup(process.execPath, [path]);
  const ended = once(child, 'close');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  }
  expect(await ended, output).toEqual([0, null]);
  expect(livingMembers(child.pid ?? -1)).toEqual([]);
  return output.trim().split('\n');
}

// docs/guide/embedding.md says these; its programs are run by test/document-programs.test.ts.
describe('a farm in a program', () => {
  it('shares its port with no other server, and takes none from one', async () => {
    const program = `import { createServer } from 'node:http';
import { once } from 'node:events';
const farm = await startFarm({ ...options, port: 0 });
const server = createServer().listen(farm.port, '127.0.0.1');
console.log((await once(server, 'error'))[0].code);
await startFarm({ ...options, port: farm.port }).catch((error) => console.log(error.code));
await farm.stop();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
await startFarm({ ...options, port: server.address().port }).catch((error) => console.log(error.code));
server.close();`;
    expect(await printed(program)).toEqual(['EADDRINUSE', 'FARM_ERR_PORT_IN_USE', 'FARM_ERR_PORT_IN_USE']);
  });

  it('does not listen through the primary of node:cluster: the second worker finds the port in use', async () => {
    const program = `import cluster from 'node:cluster';
import { once } from 'node:events';
if (cluster.isPrimary) {
  const first = cluster.fork();
  await once(first, 'message');
  const second = cluster.fork();
  const [code] = await once(second, 'message');
  console.log(code);
  first.send('stop');
} else {
  try {
    const farm = await startFarm({ ...options, port: ${await freePort()} });
    process.once('message', () => farm.stop().then(() => process.disconnect()));
    process.send('started');
  } catch (error) {
    process.send(error.code, () => process.disconnect());
  }
}`;
    expect(await printed(program)).toEqual(['FARM_ERR_PORT_IN_USE']);
  });

  it('is not harmed by what nobody can do', async () => {
    const program = `const farm = await startFarm({ ...options, port: 0, workers: 2 });
const { operations } = farm;
for (const mistake of [
  () => operations.publish('news', undefined),
  () => operations.publish('news', 5),
  () => operations.disconnect({ connection: '1.1' }, { reason: null }),
  () => operations.disconnect({ user: undefined }),
]) {
  await mistake().catch((error) => console.log(error.code, error.message));
}
console.log((await farm.info()).workers.map(({ state, restarts }) => state + restarts).join());
await farm.stop();`;
    expect(await printed(program)).toEqual([
      'FARM_ERR_OPTION The data must be a string, got undefined.',
      'FARM_ERR_OPTION The data must be a string, got number.',
      'FARM_ERR_OPTION A reason must be a string, got object.',
      'FARM_ERR_OPTION A user must be a string, got undefined.',
      'ready0,ready0',
    ]);
  });

  it('does not say that a connection is not there while a worker does not answer that may have it', async () => {
    const program = `const farm = await startFarm({ ...options, port: 0, workers: 2, workerTimeoutMs: 0 });
const { operations } = farm;
const [, { pid }] = (await farm.info()).workers;
process.kill(pid, 'SIGSTOP');
await operations.connection('1.1').catch((error) => console.log(error.code, error.message));
await operations.disconnect({ connection: '1.1' }).catch((error) => console.log(error.code));
process.kill(pid, 'SIGCONT');
console.log(await operations.connection('1.1'), await operations.disconnect({ connection: '1.1' }));
await farm.stop();`;
    expect(await printed(program)).toEqual([
      'FARM_ERR_QUERY Worker 1 did not answer within a second, and may have the connection; the others do not.',
      'FARM_ERR_QUERY',
      'undefined false',
    ]);
  });

  it('has as few clients come back at once as its app allows, however many workers it has by now', async () => {
    const app = join(folder, 'returning.mjs');
    await writeFile(
      app,
      "export default { upgrade: () => ({ kind: 'accept' }), returnAtOnce: { code: 4200, perSecond: 20 } };",
    );
    const program = `import { WebSocket } from ${JSON.stringify(WS)};
const farm = await startFarm({ ...options, port: 0, app: ${JSON.stringify(app)}, drainMs: 1000 });
await farm.changes.resize(4);
const clients = await Promise.all(Array.from({ length: 200 }, () => new Promise((resolve) => {
  const client = new WebSocket('ws://127.0.0.1:' + farm.port).once('open', () => resolve(client));
})));
const closes = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
const startedAt = performance.now();
await farm.drain();
const seconds = (performance.now() - startedAt) / 1000;
const atOnce = (await Promise.all(closes)).filter((code) => code === 4200).length;
console.log(atOnce > 0, atOnce <= 20 * seconds || atOnce + ' in ' + seconds);`;
    expect(await printed(program)).toEqual(['true true']);
  });

  it('runs in the primary of node:cluster', async () => {
    const program = `import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
if (cluster.isPrimary) {
  const farm = await startFarm({ ...options, port: 0 });
  const worker = cluster.fork();
  const [port] = await once(worker, 'message');
  console.log(await (await fetch('http://127.0.0.1:' + port, { headers: { Connection: 'close' } })).text());
  console.log(farm.readiness().ready);
  worker.send('stop');
  await farm.stop();
} else {
  const server = createServer((request, response) => response.end('of cluster')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.once('message', () => server.close(() => process.disconnect()));
  process.send(server.address().port);
}`;
    expect(await printed(program)).toEqual(['of cluster', 'true']);
  });
});
