import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventually, patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp, run, serve, serveBytes, start } from './fixtures/harness.ts';
import { portOf } from './fixtures/ws-server.ts';

afterEach(cleanUp);

describe('roost-load', () => {
  it('opens exactly as many connections as asked, over several processes and source addresses', async () => {
    const server = await serve();
    const { code, result } = await run(
      server.url,
      '--connections 501 --processes 2 --hold 100ms --source-addresses 127.0.0.2-127.0.0.4',
    );
    expect(result).toMatchObject({
      connected: 501,
      open: 501,
      failed: {},
      closes: {},
      messages: 0,
      processes: 2,
    });
    expect(code).toBe(0);
    expect(server.urls.length).toBe(501);
    expect([...server.remoteAddresses].toSorted()).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.4']);
    // Each says goodbye.
    expect(new Set(server.closeCodes)).toEqual(new Set([1000]));
  });

  it('numbers its connections where {i} stands, and adds channels to the query', async () => {
    const server = await serve();
    await run(`${server.url}{i}`, '--connections 20 --processes 2 --channel a --channel u{i} --hold 1ms');
    const expected = Array.from({ length: 20 }, (_, i) => `/${i}?channel=a&channel=u${i}`);
    expect(server.urls.toSorted()).toEqual(expected.toSorted());
  });

  it('has no error when nobody reads its progress and its result', async () => {
    const server = await serve();
    const program = start(server.url, '--connections 5 --hold 1s');
    program.child.stdout!.destroy();
    program.child.stderr!.destroy();
    expect(await program.exited).toMatchObject({ code: 0 });
    expect(new Set(server.closeCodes)).toEqual(new Set([1000]));
  });

  it('prints its help to a reader that leaves early, and tells each default in its own unit', async () => {
    const left = start('--help');
    left.child.stdout!.destroy();
    expect(await left.exited).toMatchObject({ code: 0, stderr: '' });
    const { stdout } = await start('--help').exited;
    for (const [, value = ''] of stdout.matchAll(/\(default: ([^)]*)\)/g)) {
      expect(value).not.toMatch(/^(?:\[\]|false|0|\d{5,})$/);
    }
    expect(stdout).toMatch(/--hold <time> [^-]*\(default:\s+10s\)/);
  });

  it.each([
    ['--server true', '--server and --link-loss are of use with --phantom only'],
    ['--link-loss 1%', '--server and --link-loss are of use with --phantom only'],
    ['--phantom --source-addresses 127.0.0.2', '--source-addresses is of no use with --phantom'],
  ])('refuses what would have no effect: %s', async (flags, sentence) => {
    const { code, stderr } = await start('ws://127.0.0.1:1/', flags).exited;
    expect(stderr).toContain(sentence);
    expect(code).toBe(2);
  });

  it('keeps to its bound of handshakes under way', async () => {
    const arrivals: number[] = [];
    const url = await serveBytes(() => arrivals.push(performance.now()));
    const timeoutMs = patient(200);
    const { result } = await run(url, `--connections 6 --in-flight 3 --timeout ${timeoutMs}ms --hold 1ms`);
    expect(result.failed).toEqual({ timeout: 6 });
    expect(arrivals.length).toBe(6);
    expect(arrivals.at(3)! - arrivals.at(2)!).toBeGreaterThan(timeoutMs / 2);
  });

  it('keeps to the pace of its ramp', async () => {
    const server = await serve();
    const { result } = await run(server.url, '--connections 100 --ramp 100/s --in-flight 1 --hold 1ms');
    expect(result.connected).toBe(100);
    expect(result.openSeconds).toBeGreaterThan(0.95);
    // The first may be seen late, when the machine is busy.
    expect(server.arrivals.at(-1)! - server.arrivals.at(0)!).toBeGreaterThan(500);
  });

  it('ends as soon as each connection has received what is expected', async () => {
    const server = await serve((socket) => socket.send('hello'));
    const { code, result } = await run(server.url, '--connections 200 --expect-messages 1 --hold 1h');
    expect(result).toMatchObject({
      messages: 200,
      received: { '0': 0, '1': 200, '2+': 0 },
      fewest: 1,
      most: 1,
      ok: true,
    });
    expect(code).toBe(0);
  });

  it('tells who received nothing, one message, or more', async () => {
    const server = await serve((socket, request) => {
      const number = Number(request.url?.slice(1));
      for (let i = 0; i < number % 4; i++) socket.send('hello');
    });
    const { code, result } = await run(
      `${server.url}{i}`,
      '--connections 40 --expect-messages 1 --hold 300ms',
    );
    expect(result).toMatchObject({
      messages: 60,
      received: { '0': 10, '1': 10, '2+': 20 },
      fewest: 0,
      most: 3,
      failures: ['each connection had to receive 1 messages, but they received from 0 to 3.'],
    });
    expect(code).toBe(1);
  });

  it('finds a second copy that comes right behind the first', async () => {
    const server = await serve((socket) => {
      socket.send('hello');
      setTimeout(() => socket.send('hello'), 20);
    });
    const { code, result } = await run(server.url, '--connections 10 --expect-messages 1 --hold 1h');
    expect(result.received).toEqual({ '0': 0, '1': 0, '2+': 10 });
    expect(code).toBe(1);
  });

  it('counts fragments, large messages and control frames as the messages that they are', async () => {
    const server = await serve((socket) => {
      socket.send('one ', { fin: false });
      socket.ping('are you there');
      socket.send('message', { fin: true });
      socket.send(Buffer.alloc(1024 * 1024));
      socket.send('');
      socket.on('pong', (data) => socket.send(data));
    });
    const { result } = await run(server.url, '--connections 5 --expect-messages 4 --hold 10s');
    expect(result).toMatchObject({ messages: 20, fewest: 4, most: 4, ok: true });
  });

  it('counts closes by the server by their code', async () => {
    const server = await serve((socket, request) => {
      const number = Number(request.url?.slice(1));
      if (number < 3) socket.close(4001, 'go away');
      else if (number < 5) socket.close();
      else if (number < 6) socket.terminate();
    });
    const { code, result } = await run(`${server.url}{i}`, '--connections 10 --hold 300ms');
    expect(result).toMatchObject({ connected: 10, open: 4, closes: { '4001': 3, '1005': 2, '1006': 1 } });
    expect(result.failures).toEqual(['6 connections were closed by the server.']);
    expect(code).toBe(1);
    // The closing handshake was answered: the server saw its own codes.
    expect(server.closeCodes.filter((seen) => seen === 4001).length).toBe(3);
  });

  it('counts connections that never opened by their reason', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const port = portOf(closed);
    closed.close();
    await once(closed, 'close');
    const refused = await run(`ws://127.0.0.1:${port}/`, '--connections 300 --hold 1ms');
    expect(refused.result).toMatchObject({ connected: 0, failed: { ECONNREFUSED: 300 } });
    expect(refused.code).toBe(1);

    const notFound = await run(
      await serveBytes((socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\n')),
      '--connections 5 --hold 1ms',
    );
    expect(notFound.result.failed).toEqual({ 'http 404': 5 });

    const silent = await run(
      await serveBytes((socket) => socket.resume().end()),
      '--connections 5 --hold 1ms',
    );
    expect(silent.result.failed).toEqual({ 'closed before the answer': 5 });

    const slow = await run(await serveBytes(() => {}), '--connections 5 --timeout 100ms --hold 1ms');
    expect(slow.result.failed).toEqual({ timeout: 5 });
  });

  it('refuses frames that no server may send', async () => {
    const server = await serve(
      (_, request) => void request.socket.write(Buffer.from('8185000000006869', 'hex')),
    );
    const { code, result } = await run(server.url, '--connections 3 --hold 200ms');
    expect(result.closes).toEqual({ 'protocol error': 3 });
    expect(code).toBe(1);
  });

  it('echoes in a closed loop and checks each answer', async () => {
    const server = await serve((socket) =>
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
    );
    const { code, result } = await run(
      server.url,
      '--scenario echo --connections 40 --echo-connections 20 --processes 2 --hold 300ms --payload-bytes 200',
    );
    expect(result.echo).toMatchObject({ connections: 20, wrong: 0, unanswered: 0 });
    expect(result.echo!.echoes).toBeGreaterThan(20);
    expect(result.messages).toBe(result.echo!.echoes);
    expect(result.received['0']).toBe(20);
    expect(result.echo!.latencyMs.p50).toBeGreaterThan(0);
    expect(result.echo!.latencyMs.max).toBeGreaterThanOrEqual(result.echo!.latencyMs.p99);
    expect(code).toBe(0);
  });

  it('finds answers that belong to another message', async () => {
    let last: Buffer | undefined;
    const server = await serve((socket) =>
      socket.on('message', (data: Buffer) => {
        socket.send(last ?? data, { binary: false });
        last = data;
      }),
    );
    const { code, result } = await run(server.url, '--scenario echo --connections 2 --hold 100ms');
    expect(result.echo!.wrong).toBeGreaterThan(0);
    expect(code).toBe(1);
  });

  it('opens and closes each connection once in a churn', async () => {
    const server = await serve();
    const { code, result } = await run(server.url, '--scenario churn --connections 300 --in-flight 10');
    expect(result).toMatchObject({ connected: 300, open: 0, failed: {}, closes: {} });
    expect(server.urls.length).toBe(300);
    expect(code).toBe(0);
  });

  it('stops holding on SIGTERM, reports, and judges what was reached', async () => {
    const server = await serve();
    const program = start(server.url, '--connections 50 --hold 1h --json');
    await eventually(() => server.wss.clients.size === 50);
    program.child.kill('SIGTERM');
    const { code, stdout } = await program.exited;
    expect(JSON.parse(stdout)).toMatchObject({ connected: 50, open: 50, ok: true });
    expect(code).toBe(0);
  });

  it('stops opening on SIGINT', async () => {
    const server = await serve();
    const program = start(server.url, '--connections 10000 --ramp 50/s --json');
    await once(server.wss, 'connection');
    program.child.kill('SIGINT');
    const { code, stdout } = await program.exited;
    expect(JSON.parse(stdout).connected).toBeLessThan(1000);
    expect(code).toBe(1);
  });

  it('begins nothing when the limits or the options do not allow it, and says what to change', async () => {
    const tooMany = await start('ws://127.0.0.1:1/', '--connections 10000000 --processes 1').exited;
    expect(tooMany.stderr).toContain('ulimit -n');
    expect(tooMany.stderr).toContain('--source-addresses');
    expect(tooMany).toMatchObject({ code: 2, stdout: '' });
    const badUrl = await start('http://127.0.0.1/').exited;
    expect(badUrl.stderr).toContain('must begin with ws:// or wss://');
    expect(badUrl).toMatchObject({ code: 2, stdout: '' });
    const badOption = await start('ws://127.0.0.1:1/', '--hold 60').exited;
    expect(badOption.stderr).toContain('such as 60s');
    expect(badOption).toMatchObject({ code: 2, stdout: '' });
  });
});
