import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp, serve, start } from '../fixtures/harness.ts';

afterEach(cleanUp);

describe('roost-load --control', () => {
  it('goes through the phases that its parent asks for', async () => {
    const server = await serve((socket) =>
      socket.on('message', (data) => socket.send(data, { binary: false })),
    );
    const program = start(server.url, '--control --connections 100 --processes 2');
    expect(await program.nextLine()).toEqual({ do: 'start', processes: 2, connections: 100 });
    expect(await program.ask({ do: 'open', count: 60 })).toMatchObject({
      do: 'open',
      connected: 60,
      open: 60,
    });
    expect(await program.ask({ do: 'open', count: 40 })).toMatchObject({ connected: 100, open: 100 });

    const waiting = program.ask({ do: 'await', messages: 2, timeoutSeconds: 10 });
    for (const client of server.wss.clients) {
      client.send('one');
      client.send('two');
    }
    expect(await waiting).toMatchObject({ complete: true, messages: 200, fewest: 2, most: 2 });
    expect(await program.ask({ do: 'await', messages: 3, timeoutSeconds: 0.05 })).toMatchObject({
      complete: false,
    });

    expect(await program.ask({ do: 'reset' })).toMatchObject({ messages: 0, open: 100, connected: 100 });
    expect(await program.ask({ do: 'echo', connections: 10, seconds: 0.1 })).toMatchObject({
      connections: 10,
      wrong: 0,
    });
    expect(await program.ask({ do: 'close' })).toMatchObject({ open: 0, connected: 100 });
    await expect.poll(() => server.wss.clients.size).toBe(0);
    expect(await program.ask({ do: 'churn', count: 50 })).toMatchObject({ open: 0, connected: 150 });
    expect((await program.end()).code).toBe(0);
  });

  it('opens all in the one process that its parent names', async () => {
    const server = await serve();
    const program = start(server.url, '--control --connections 10 --processes 2');
    await program.nextLine();
    const processes = childrenOf(program.child.pid!);
    const before = processes.map(countSockets);
    expect(await program.ask({ do: 'open', count: 5, process: 1 })).toMatchObject({ open: 5 });
    expect(processes.map((pid, index) => countSockets(pid) - (before[index] ?? 0))).toEqual([0, 5]);
    expect(await program.ask({ do: 'open', count: 4 })).toMatchObject({ open: 9 });
    expect(processes.map((pid, index) => countSockets(pid) - (before[index] ?? 0))).toEqual([2, 7]);
    expect((await program.ask({ do: 'open', count: 1, process: 2 })).error).toContain(
      'process must be a number from 0 to 1, got 2',
    );
    expect((await program.end()).code).toBe(0);
  });

  it('answers what it does not understand with an error, and goes on', async () => {
    const server = await serve();
    const program = start(server.url, '--control --connections 10');
    await program.nextLine();
    expect((await program.ask('{')).error).toContain('one line of JSON');
    expect((await program.ask('[]')).error).toContain('JSON object');
    expect((await program.ask({ do: 'dance' })).error).toContain('got "dance"');
    expect((await program.ask({ do: 'open', count: 'many' })).error).toContain('count must be a number');
    expect(await program.ask({ do: 'open', count: 10 })).toMatchObject({ open: 10 });
    expect((await program.end()).code).toBe(0);
  });

  it('ends on SIGTERM, idle or not', async () => {
    const messages = new EventEmitter();
    const server = await serve((socket) =>
      socket.on('message', (data, isBinary) => {
        messages.emit('message');
        socket.send(data, { binary: isBinary });
      }),
    );
    const idle = start(server.url, '--control --connections 10');
    await idle.nextLine();
    idle.child.kill('SIGTERM');
    expect((await idle.exited).code).toBe(0);

    const busy = start(server.url, '--control --connections 10');
    await busy.nextLine();
    await busy.ask({ do: 'open' });
    const underWay = once(messages, 'message');
    const echo = busy.ask({ do: 'echo', seconds: 3600 });
    await underWay;
    busy.child.kill('SIGTERM');
    expect((await echo).error).toContain('has ended');
    expect((await busy.exited).code).toBe(1);
  });

  it('ends with an error when one of its processes dies', async () => {
    const server = await serve();
    for (const command of [{ do: 'open' }, { do: 'await', messages: 1, timeoutSeconds: 3600 }]) {
      const program = start(server.url, '--control --connections 10 --processes 2');
      await program.nextLine();
      const answer = program.ask(command);
      process.kill(childrenOf(program.child.pid!).at(0)!, 'SIGKILL');
      expect((await answer).error).toMatch(/SIGKILL|cannot be reached/);
      expect((await program.exited).code).toBe(1);
    }
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

function countSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((fd) => readlinkSync(`${folder}/${fd}`).startsWith('socket:')).length;
}
