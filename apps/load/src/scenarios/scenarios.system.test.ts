import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { redisIsInstalled, startRedis } from '@roost/testing';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { atEnd, cleanUp, run, serve, serveTls, start } from '../fixtures/harness.ts';
import { portOf, type WsServer } from '../fixtures/ws-server.ts';

afterEach(cleanUp);

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

function broadcast(server: WsServer, text: string): void {
  for (const client of server.wss.clients) client.send(text);
}

/** An HTTP API that broadcasts what is published, as `wrap` makes it, to the clients of `server`; answers its URL. */
async function serveApi(
  server: WsServer,
  seen: { channel?: string; key?: string } = {},
  wrap: (data: string) => string = (data) => data,
): Promise<string> {
  const api = createHttpServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { channel, data } = JSON.parse(body);
      seen.channel = channel;
      seen.key = String(request.headers['x-api-key']);
      broadcast(server, wrap(data));
      response.end('{}');
    });
  });
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  atEnd(() => {
    api.closeAllConnections();
    api.close();
  });
  return `http://127.0.0.1:${portOf(api)}/publish`;
}

describe('echo at a rate', () => {
  it('sends as many as are due, and every one is answered', async () => {
    const server = await serve(echo);
    const { code, result } = await run(
      server.url,
      '--scenario echo --connections 20 --processes 2 --rate 500/s --hold 1s',
    );
    expect(result.echo).toMatchObject({ connections: 20, wrong: 0, unanswered: 0 });
    expect(result.echo!.echoes).toBeGreaterThan(450);
    expect(result.echo!.echoes).toBeLessThanOrEqual(500);
    expect(code).toBe(0);
  });

  it('counts latencies from when messages were due: a stall shows in all that were due meanwhile', async () => {
    // The server answers nobody for the first 400 of 1,000 ms.
    let waiting: (() => void)[] | undefined;
    let isOver = false;
    const endStall = (): void => {
      isOver = true;
      for (const answer of waiting ?? []) answer();
    };
    const server = await serve((socket) =>
      socket.on('message', (data, isBinary) => {
        const answer = (): void => socket.send(data, { binary: isBinary });
        if (isOver) {
          answer();
          return;
        }
        if (waiting === undefined) setTimeout(endStall, 400);
        waiting = [...(waiting ?? []), answer];
      }),
    );
    const { result } = await run(server.url, '--scenario echo --connections 10 --rate 200/s --hold 1s');
    // 80 of 200 were due in the stall, evenly, so that a tenth of all waited 200 ms or more and some nearly 400. In a
    // closed loop each of the ten connections would have met it once.
    const { latencyMs, unanswered, wrong } = result.echo!;
    expect([unanswered, wrong]).toEqual([0, 0]);
    expect(latencyMs.p90).toBeGreaterThan(200);
    expect(latencyMs.max).toBeGreaterThan(300);
  });
});

describe('broadcast', () => {
  it('publishes by HTTP, with channel and headers, and measures what everybody got', async () => {
    const server = await serve();
    const seen: { channel?: string; key?: string } = {};
    const program = start(
      server.url,
      '--scenario broadcast --connections 30 --processes 2 --channel news --rate 20/s --hold 500ms --payload-bytes 100 --json',
      ['--publish', await serveApi(server, seen), '--publish-header', 'X-API-Key: sesame'],
    );
    const { code, stdout } = await program.exited;
    const result = JSON.parse(stdout);
    expect(result.broadcast).toMatchObject({
      publications: 10,
      publishErrors: [],
      subscribers: 30,
      expected: 300,
      deliveries: 300,
      outOfOrder: 0,
    });
    expect(result.broadcast.latencyMs).toMatchObject({ count: 300 });
    expect(result.broadcast.latencyMs.p99).toBeGreaterThan(0);
    expect(seen).toEqual({ channel: 'news', key: 'sesame' });
    expect(code).toBe(0);
  });

  it('finds publications in messages of the template, and passes over others', async () => {
    const server = await serve((socket) => socket.send('0{}'));
    const api = await serveApi(server, {}, (data) => {
      broadcast(server, '2');
      return `42["message",${JSON.stringify(data)}]`;
    });
    const program = start(
      server.url,
      '--scenario broadcast --connections 5 --channel a --rate 20/s --hold 100ms --expect-delivered 100% --json',
      ['--publish', api, '--message-template', '42["message","{data}"]'],
    );
    const { code, stdout } = await program.exited;
    const result = JSON.parse(stdout);
    expect(result.broadcast).toMatchObject({ publications: 2, deliveries: 10, outOfOrder: 0 });
    expect(result).toMatchObject({ messages: 10, fewest: 2, most: 2, others: 15 });
    expect(code).toBe(0);
  });

  it.skipIf(!redisIsInstalled())('publishes through Redis', async () => {
    const redis = await startRedis();
    atEnd(() => redis.stop());
    const server = await serve();
    const subscriber = new Redis(redis.url);
    atEnd(() => subscriber.disconnect());
    subscriber.on('message', (_, message: string) => broadcast(server, message));
    await subscriber.subscribe('live:news');
    const { code, result } = await run(
      server.url,
      `--scenario broadcast --connections 10 --publish ${redis.url} --publish-channel live:news --rate 10/s --hold 300ms --expect-delivered 100%`,
    );
    expect(result.broadcast).toMatchObject({ publications: 3, deliveries: 30, expected: 30 });
    expect(code).toBe(0);
  });

  it('publishes by a command', async () => {
    const server = await serve();
    const api = await serveApi(server);
    const program = start(server.url, '--scenario broadcast --connections 5 --rate 5/s --hold 400ms --json', [
      '--publish',
      `${process.execPath} -e "fetch('${api}',{method:'POST',body:JSON.stringify({data:'{data}'})})"`,
    ]);
    const { code, stdout } = await program.exited;
    expect(JSON.parse(stdout).broadcast).toMatchObject({
      publications: 2,
      deliveries: 10,
      publishErrors: [],
    });
    expect(code).toBe(0);
  });

  it('says what did not arrive, came twice, or could not be published', async () => {
    const server = await serve();
    const api = createHttpServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        const [first, ...others] = server.wss.clients;
        first?.send(JSON.parse(body).data);
        first?.send(JSON.parse(body).data);
        // Nobody gets it of these.
        for (const other of others) other.send('something else');
        response.end('{}');
      });
    });
    api.listen(0, '127.0.0.1');
    await once(api, 'listening');
    atEnd(() => {
      api.closeAllConnections();
      api.close();
    });
    const flags =
      '--scenario broadcast --connections 4 --channel a --rate 100/s --hold 10ms --expect-delivered 100%';
    const wrong = await run(server.url, `${flags} --publish http://127.0.0.1:${portOf(api)}/`);
    expect(wrong.result.failures).toEqual([
      '100.0 % of 4 deliveries had to arrive, but 1 did.',
      '1 publications came again, or behind a later one.',
    ]);
    expect(wrong.code).toBe(1);

    const unreachable = await run(server.url, `${flags} --publish http://127.0.0.1:1/`);
    expect(unreachable.result.failures.join()).toMatch(
      /http:\/\/127\.0\.0\.1:1\/ cannot be reached.*nothing was published/,
    );
    expect(unreachable.code).toBe(1);
  });

  it('is not begun without a publisher', async () => {
    const server = await serve();
    const { code, stderr } = await start(server.url, '--scenario broadcast --connections 1').exited;
    expect(stderr).toContain('needs --publish');
    expect(code).toBe(2);
  });
});

describe('slow-readers', () => {
  it('has a share of the connections that do not read, and judges the others', async () => {
    const server = await serve();
    const { code, result } = await run(
      server.url,
      `--scenario slow-readers --slow 10% --connections 20 --channel a --rate 10/s --hold 200ms --expect-delivered 100% --publish ${await serveApi(server)}`,
    );
    expect(result.broadcast).toMatchObject({ slow: 2, subscribers: 18, publications: 2, deliveries: 36 });
    // What the slow ones were sent waits in the kernel.
    expect(result.received['0']).toBe(2);
    expect(code).toBe(0);
  });
});

describe('storm', () => {
  it('begins all at once, and tells how long their handshakes took', async () => {
    const server = await serve();
    const { code, result } = await run(server.url, '--scenario storm --connections 400 --expect-p99 10s');
    expect(result).toMatchObject({ connected: 400, failed: {}, scenario: 'storm' });
    expect(result.handshakeMs).toMatchObject({ count: 400 });
    expect(result.handshakeMs.p99).toBeGreaterThanOrEqual(result.handshakeMs.p50);
    expect(code).toBe(0);
  });

  it('fails when they took longer than is expected', async () => {
    const server = await serve();
    const { code, result } = await run(server.url, '--scenario storm --connections 200 --expect-p99 0.001ms');
    expect(result.failures).toEqual([
      expect.stringMatching(/^99 % had to take at most 0\.001 ms, but took up to \d+\.\d ms\.$/),
    ]);
    expect(code).toBe(1);
  });
});

describe('wss://', () => {
  it('is spoken, when the certificate is trusted', async () => {
    const { url, caFile } = await serveTls(echo);
    const flags = `--scenario echo --connections 20 --processes 2 --hold 1s`;
    const trusted = await run(url, `${flags} --ca ${caFile}`);
    expect(trusted.result).toMatchObject({ connected: 20, failed: {}, echo: { wrong: 0, unanswered: 0 } });
    expect(trusted.result.echo!.echoes).toBeGreaterThan(20);
    expect(trusted.code).toBe(0);

    const insecure = await run(url, `${flags} --insecure`);
    expect(insecure.code).toBe(0);

    const untrusted = await run(url, '--connections 3 --hold 1ms');
    expect(untrusted.result.failed).toEqual({ DEPTH_ZERO_SELF_SIGNED_CERT: 3 });
    expect(untrusted.code).toBe(1);
  });
});

describe('request heads', () => {
  it('have the lines that were asked for', async () => {
    const seen = new Set<unknown>();
    const server = await serve((_, request) => seen.add(request.headers['x-user']));
    await start(server.url, '--connections 3 --hold 1ms', ['--header', 'X-User: user {i}']).exited;
    expect(seen).toEqual(new Set(['user 0', 'user 1', 'user 2']));
  });
});
