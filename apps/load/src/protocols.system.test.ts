import { patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { cleanUp, run, serve, start } from './fixtures/harness.ts';

afterEach(cleanUp);

/** Flags for {@link speakPackets}. */
const PACKETS = `--say 40 --await 40{ --message-template 42["message","{data}"]`;

/** Answers `40` as Socket.IO does, and echoes whatever else it is sent, behind a packet of its own. */
function speakPackets(socket: WebSocket): void {
  socket.send('0{"sid":"a"}');
  socket.on('message', (data: Buffer) => {
    const text = data.toString();
    if (text !== '40') socket.send('2');
    socket.send(text === '40' ? '40{"sid":"b"}' : text);
  });
}

describe('a protocol inside WebSocket', () => {
  it('is greeted with what each connection has to say, in order', async () => {
    const heard: string[] = [];
    const server = await serve((socket) => {
      let texts = '';
      socket.on(
        'message',
        (data: Buffer, isBinary) => (texts += `${data.toString()}${isBinary ? '?' : ';'}`),
      );
      socket.on('close', () => heard.push(texts));
    });
    await run(server.url, '--connections 3 --hold 1ms --say hello --say wörld');
    expect(heard).toEqual(Array.from({ length: 3 }, () => 'hello;wörld;'));
  });

  it('has connections that open when the awaited message comes, and counts what comes behind it', async () => {
    const server = await serve((socket) => {
      socket.send('0{"sid":"a"}');
      socket.on('message', () => {
        socket.send('4');
        socket.send('40{"sid":"b"}');
        socket.send('first');
      });
    });
    const { code, result } = await run(
      server.url,
      '--connections 100 --processes 2 --say 40 --await 40{ --expect-messages 1 --hold 1h',
    );
    expect(result).toMatchObject({ connected: 100, messages: 100, fewest: 1, most: 1, others: 0 });
    expect(code).toBe(0);
  });

  it('fails a connection that waits in vain, by its reason', async () => {
    const server = await serve((socket, request) => {
      socket.send('0{"sid":"a"}');
      if (request.url === '/0') socket.close(4400);
      if (request.url === '/1') socket.terminate();
      if (request.url === '/2') request.socket.write(Buffer.from('8185000000006869', 'hex'));
    });
    const { code, result } = await run(
      `${server.url}{i}`,
      `--connections 5 --await 40{ --timeout ${patient(500)}ms --hold 1ms`,
    );
    expect(result).toMatchObject({ connected: 0, open: 0, closes: {} });
    expect(result.failed).toEqual({
      'close 4400': 1,
      'closed before the answer': 1,
      'protocol error': 1,
      timeout: 2,
    });
    expect(code).toBe(1);
  });

  it('carries echoes as its template says, and its own packets are no wrong ones', async () => {
    const server = await serve(speakPackets);
    for (const pace of ['', ' --rate 1000/s']) {
      const from = performance.now();
      const { code, result } = await run(
        server.url,
        `--scenario echo --connections 20 --processes 2 --hold 300ms --payload-bytes 33 ${PACKETS}${pace}`,
      );
      expect(result.echo).toMatchObject({ connections: 20, wrong: 0, unanswered: 0 });
      expect(result.echo!.echoes).toBeGreaterThan(20);
      expect(result.echo!.latencyMs.max).toBeLessThan(performance.now() - from);
      expect(result.messages).toBe(result.echo!.echoes);
      expect(result.others).toBe(result.echo!.echoes);
      expect(code).toBe(0);
    }
  });

  it('wraps the whole payload, of any size', async () => {
    const sizes = new Set<number>();
    const server = await serve((socket) =>
      socket.on('message', (data: Buffer) => {
        const [event, payload] = JSON.parse(data.toString().slice(2));
        sizes.add(payload.length);
        socket.send(`42${JSON.stringify([event, payload])}`);
      }),
    );
    for (const size of [32, 107, 65_535]) {
      const { code, result } = await run(
        server.url,
        `--scenario echo --connections 1 --hold 20ms --payload-bytes ${size} --message-template 42["message","{data}"]`,
      );
      expect(result.echo).toMatchObject({ wrong: 0, unanswered: 0 });
      expect(code).toBe(0);
    }
    expect([...sizes]).toEqual([32, 107, 65_535]);
  });

  it('is found to have changed a message, or its wrapping', async () => {
    const server = await serve((socket) =>
      socket.on('message', (data: Buffer) => socket.send(data.toString().replace('"]', '"}'))),
    );
    const { code, result } = await run(
      server.url,
      '--scenario echo --connections 2 --hold 50ms --message-template 42["message","{data}"]',
    );
    expect(result.echo!.echoes).toBe(0);
    expect(result.echo!.wrong).toBeGreaterThan(0);
    expect(code).toBe(1);
  });

  it('needs {data} in its template exactly once, and text', async () => {
    for (const template of ['42["message"]', '{data}{data}']) {
      const bad = await start('ws://127.0.0.1:1/', '', ['--message-template', template]).exited;
      expect(bad.stderr).toContain(`must contain {data} exactly once`);
      expect(bad.stderr).toContain(`got "${template}"`);
      expect(bad).toMatchObject({ code: 2, stdout: '' });
    }
    const binary = await start('ws://127.0.0.1:1/', '--binary', ['--message-template', '42{data}']).exited;
    expect(binary.stderr).toContain("cannot be used with option '--binary'");
    expect(binary).toMatchObject({ code: 2, stdout: '' });

    const server = await serve(speakPackets);
    const program = start(server.url, `--control --connections 1 ${PACKETS}`);
    await program.nextLine();
    await program.ask({ do: 'open' });
    const refused = await program.ask({ do: 'echo', seconds: 0.01, isBinary: true });
    expect(refused.error).toContain('isBinary must be false with --message-template');
    expect(await program.ask({ do: 'echo', seconds: 0.01 })).toMatchObject({ wrong: 0, connections: 1 });
    expect((await program.end()).code).toBe(0);
  });
});
