import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, makeCertificate, startRedis, TcpProxy } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { call, connect, endAfterTest, get, startFarm } from './harness/system.ts';

/** More together than the other side takes while nobody reads there (128 KB), and less than our kernel keeps (4 MB). */
const COUNT = 40;
const PADDING = ' '.repeat(64 * 1024);

/** A Redis that speaks TLS on `port`, and what its clients have to trust. */
async function startSecureRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'roost-tls-'));
  const { cert, key } = makeCertificate();
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  const args = ['--tls-cert-file', certFile, '--tls-key-file', keyFile, '--tls-ca-cert-file', certFile];
  const redis = await startRedis({ args: [...args, '--tls-auth-clients', 'no'] });
  endAfterTest(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true });
  });
  // On a port of its own: the fixture's commands are plain.
  for (let port = redis.port + 1; port < redis.port + 20; port += 1) {
    const answer = await redis.command('CONFIG', 'SET', 'tls-port', String(port)).catch(() => undefined);
    if (answer === 'OK') return { redis, port, env: { NODE_EXTRA_CA_CERTS: certFile } };
  }
  throw new Error('There is no free port for TLS.');
}

async function startPlainRedis() {
  const redis = await startRedis();
  endAfterTest(() => redis.stop());
  return { redis, port: redis.port, env: {} };
}

describe('publications that were under way when the network stopped', () => {
  it.each([
    ['redis', startPlainRedis],
    ['rediss', startSecureRedis],
  ])(
    'over %s: those that have not left this host never arrive behind newer ones',
    async (scheme, startServer) => {
      const { redis, port, env } = await startServer();
      const network = await TcpProxy.start(port);
      endAfterTest(() => network.stop());
      const url = `${scheme}://127.0.0.1:${network.port}`;
      // There is room for all of them in the queue of one client, should they come.
      const room = String(2 * COUNT * PADDING.length);
      const args = ['--workers', '1', '--redis-url', url, '--max-outbound-bytes', room];
      const farm = await startFarm(args, { env });
      await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
      const client = await connect(farm, '/plain?channel=news');

      const publisher = await redis.clientPort('roost-publisher');
      network.hold(publisher);
      const publish = (text: string) => call(farm, 'publish', { channel: 'news', data: text + PADDING });
      const answers = await Promise.all(Array.from({ length: COUNT }, (_, index) => publish(`old ${index}`)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([504]));

      await eventually(async () => expect((await publish('new')).status).toBe(200));
      await network.release(publisher);
      expect((await publish('last')).status).toBe(200);

      const texts: string[] = [];
      while (texts.at(-1) !== 'last') texts.push((await client.nextMessage()).text.trimEnd());
      expect(texts).toContain('new');
      // What the other side's kernel had taken may come. What waited in ours may not.
      expect(texts).not.toContain(`old ${COUNT - 1}`);
      expect(texts.length).toBeLessThan(COUNT / 2);
    },
  );
});
