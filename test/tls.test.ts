import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as getSecurely, request as requestSecurely } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectSecurely, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeCertificate, startServer, TestClient } from '@roost/testing';
import type { FarmProcess, TestCertificate } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { API_KEY, endAfterTest, expectEcho, startFarm } from './harness/system.ts';

const HEALTH_CHECK = fileURLToPath(new URL('../infra/healthcheck.mjs', import.meta.url));
const run = promisify(execFile);

/** The two files of a certificate, to be written again. */
function filesOf(certificate: TestCertificate): {
  readonly args: readonly string[];
  write(next: { readonly cert: string; readonly key: string }): void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'roost-tls-'));
  endAfterTest(async () => rmSync(folder, { recursive: true }));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const write = (next: { readonly cert: string; readonly key: string }): void => {
    writeFileSync(cert, next.cert);
    writeFileSync(key, next.key, { mode: 0o600 });
  };
  write(certificate);
  return { args: ['--tls-cert', cert, '--tls-key', key], write };
}

async function connect(farm: FarmProcess, path: string, ca: string): Promise<TestClient> {
  const client = await TestClient.connect(`wss://localhost:${farm.port}${path}`, { ca });
  endAfterTest(() => client.terminate());
  return client;
}

/** A TLS client, and the worker that serves it. */
async function where(
  farm: FarmProcess,
  options: { ca: string; session?: Buffer },
): Promise<[TLSSocket, string]> {
  const socket = connectSecurely({ port: farm.port, servername: 'localhost', ...options });
  endAfterTest(async () => socket.destroy());
  await once(socket, 'secureConnect');
  socket.write(
    'GET /where HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  let received = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received = Buffer.concat([received, chunk]);
    const at = received.indexOf('\r\n\r\n') + 4;
    // The pid is the first message.
    if (at > 3 && received.length > at + 2) return [socket, received.toString('latin1', at + 2)];
  }
  throw new Error(`the connection ended after ${received.toString('latin1')}`);
}

async function answerOf(
  farm: FarmProcess,
  path: string,
  ca: string,
): Promise<{ status: number; body: string }> {
  const request = getSecurely({ host: '127.0.0.1', port: farm.port, path, ca, agent: false });
  const [response] = await once(request, 'response');
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body };
}

/** How a start ends that cannot succeed. */
async function failure(args: readonly string[]): Promise<string> {
  try {
    await (await startServer(args)).stop();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('the start was expected to fail');
}

describe('a farm with a certificate', () => {
  it('serves WebSockets, HTTP and broadcasts over TLS, and says so', async () => {
    const certificate = makeCertificate();
    const farm = await startFarm(filesOf(certificate).args);
    expect(farm.logs.find(({ msg }) => msg === 'farm ready')?.['url']).toBe(`https://localhost:${farm.port}`);
    const clients = await Promise.all(
      Array.from({ length: 8 }, () => connect(farm, '/news?channel=news', certificate.cert)),
    );
    const publish = requestSecurely({
      host: '127.0.0.1',
      port: farm.port,
      path: '/api/publish',
      method: 'POST',
      headers: { 'X-API-Key': API_KEY },
      ca: certificate.cert,
      agent: false,
    });
    publish.end(JSON.stringify({ channel: 'news', data: 'to all' }));
    const [published] = await once(publish, 'response');
    expect(published.statusCode).toBe(200);
    published.resume();
    for (const client of clients) expect((await client.nextMessage()).text).toBe('to all');
    const ready = await answerOf(farm, '/health/ready', certificate.cert);
    expect(ready.status).toBe(200);
    expect(farm.otherOutput).toBe('');
  });

  it('is found healthy by the check of its container', async () => {
    const farm = await startFarm(filesOf(makeCertificate()).args);
    const env = { ...process.env, ROOST_PORT: String(farm.port), ROOST_TLS_CERT: 'cert.pem' };
    const { stdout } = await run(process.execPath, [HEALTH_CHECK], { env });
    expect(JSON.parse(stdout)).toMatchObject({ ready: true });
  });

  it('takes the PROXY header in front of TLS', async () => {
    const certificate = makeCertificate();
    const proxied = ['--proxy-protocol', 'required', '--trusted-proxies', '127.0.0.1'];
    const farm = await startFarm([...filesOf(certificate).args, ...proxied]);
    const env = {
      ...process.env,
      ROOST_PORT: String(farm.port),
      ROOST_TLS_CERT: 'cert.pem',
      ROOST_PROXY_PROTOCOL: 'required',
    };
    const { stdout } = await run(process.execPath, [HEALTH_CHECK], { env });
    expect(JSON.parse(stdout)).toMatchObject({ ready: true });
  });

  it('resets who is over a limit of its address, for telling it so would cost a handshake', async () => {
    const certificate = makeCertificate();
    const farm = await startFarm([...filesOf(certificate).args, '--max-connections-per-address', '1']);
    const client = await connect(farm, '/echo', certificate.cert);
    await expect(connect(farm, '/echo', certificate.cert)).rejects.toThrow('ECONNRESET');
    await expectEcho(client, 'the first goes on');
  });

  it('resumes on one worker the session that another began', async () => {
    const certificate = makeCertificate();
    const farm = await startFarm(filesOf(certificate).args);
    const first = connectSecurely({ port: farm.port, servername: 'localhost', ca: certificate.cert });
    const [session]: Buffer[] = await once(first, 'session');
    first.destroy();
    if (session === undefined) throw new Error('there is a session');
    const pids = new Set<string>();
    for (let index = 0; index < 4; index++) {
      const [socket, pid] = await where(farm, { ca: certificate.cert, session });
      expect(socket.isSessionReused()).toBe(true);
      pids.add(pid);
    }
    expect(pids.size).toBe(2);
  });
});

describe('SIGHUP', () => {
  it('gives new connections the new certificate, while those that are open go on', async () => {
    const before = makeCertificate({ commonName: 'before' });
    const after = makeCertificate({ commonName: 'after' });
    const files = filesOf(before);
    const farm = await startFarm(files.args);
    const open = await Promise.all([1, 2, 3, 4].map(() => connect(farm, '/echo', before.cert)));
    files.write(after);
    farm.signal('SIGHUP');
    await farm.log(
      ({ msg, subject }) => msg === 'TLS certificate read: new connections get it' && subject === 'CN=after',
    );
    const served = await Promise.all([1, 2, 3, 4].map(() => connect(farm, '/echo', after.cert)));
    await Promise.all([...open, ...served].map((client) => expectEcho(client, 'hello')));
    await expect(
      TestClient.connect(`wss://localhost:${farm.port}/echo`, { ca: before.cert }),
    ).rejects.toThrow('self-signed certificate');
    // A worker that is started later has it, too.
    const known = new Set(farm.workers.map(({ pid }) => pid));
    const [worker] = farm.workers;
    if (worker === undefined) throw new Error('there are workers');
    process.kill(worker.pid, 'SIGKILL');
    await farm.log(({ msg, pid }) => msg === 'worker ready' && typeof pid === 'number' && !known.has(pid));
    const later = await Promise.all([1, 2, 3, 4].map(() => connect(farm, '/echo', after.cert)));
    await Promise.all(later.map((client) => expectEcho(client, 'hello')));
  });

  it('keeps the certificate in use when the files are wrong, and says what is wrong', async () => {
    const certificate = makeCertificate();
    const files = filesOf(certificate);
    const farm = await startFarm(files.args);
    files.write({ cert: makeCertificate().cert, key: certificate.key });
    farm.signal('SIGHUP');
    const line = await farm.log(({ msg }) => msg === 'TLS certificate not re-read: the one in use stays');
    expect(line).toMatchObject({
      level: 'error',
      reason: expect.stringContaining('tls.key must be the private key'),
    });
    await expectEcho(await connect(farm, '/echo', certificate.cert), 'as before');
  });
});

describe('a start with TLS that is configured wrong', () => {
  it('is exit code 78 and names the option, whatever is wrong', async () => {
    const certificate = makeCertificate();
    const files = filesOf(certificate);
    const [, cert = '', , key = ''] = files.args;
    expect(await failure(['--tls-cert', cert])).toMatch(
      /ended with 78 [^]*--tls-cert needs tls\.key as well/,
    );
    expect(await failure(['--tls-cert', '/nowhere.pem', '--tls-key', key])).toMatch(
      /ended with 78 [^]*--tls-cert must be a readable PEM file, got \/nowhere\.pem: there is no such file/,
    );
    files.write({ cert: certificate.cert, key: makeCertificate().key });
    expect(await failure(files.args)).toMatch(
      /ended with 78 [^]*tls\.key must be the private key of the cert/,
    );
  });
});
