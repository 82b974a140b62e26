import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { SendOutcome } from './link.ts';
import { describeChannel, LocalEnd, type End, type TestMessage } from './link.contract.ts';
import { memoryLinkPair } from './memory-link.ts';
import { StreamLink } from './stream-link.ts';

const releases: (() => void)[] = [];
afterEach(() => {
  for (const release of releases.splice(0)) release();
});

/** Two connected Unix sockets. */
async function socketPair(): Promise<[Socket, Socket]> {
  const folder = mkdtempSync(join(tmpdir(), 'roost-link-'));
  const server = createServer();
  const path = join(folder, 'socket');
  server.listen(path);
  await once(server, 'listening');
  const near = connect(path);
  const [[far]] = await Promise.all([once(server, 'connection'), once(near, 'connect')]);
  server.close();
  rmSync(folder, { recursive: true });
  releases.push(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

/** What the fixture says over IPC. */
type FixtureMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'message'; readonly message: TestMessage }
  | { readonly type: 'close'; readonly reason: string }
  | { readonly type: 'answer'; readonly id: number; readonly answer: SendOutcome };

/** The end in another process. */
class ForkedEnd implements End {
  readonly received: TestMessage[] = [];
  readonly reasons: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: SendOutcome) => void>();
  #lastId = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: FixtureMessage) => {
      if (message.type === 'message') this.received.push(message.message);
      else if (message.type === 'close') this.reasons.push(message.reason);
      else if (message.type === 'answer') this.#answers.get(message.id)?.(message.answer);
    });
  }

  async open(): Promise<void> {
    await this.#call({ call: 'open' });
  }

  send(message: TestMessage): Promise<SendOutcome> {
    return this.#call({ call: 'send', message });
  }

  sendUrgent(message: TestMessage): Promise<SendOutcome> {
    return this.#call({ call: 'sendUrgent', message });
  }

  async close(): Promise<void> {
    await this.#call({ call: 'close' });
  }

  async write(bytes: Buffer): Promise<void> {
    await this.#call({ call: 'write', bytes });
  }

  #call(call: object): Promise<SendOutcome> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#child.send({ ...call, id });
    });
  }
}

async function fork(maxBufferedBytes: number): Promise<[LocalEnd, ForkedEnd, ChildProcess]> {
  const fixture = fileURLToPath(new URL('fixtures/link-end.mjs', import.meta.url));
  const child = spawn(process.execPath, [fixture, String(maxBufferedBytes)], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  releases.push(() => child.kill('SIGKILL'));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- 'pipe' is a socket in both directions (child_process, options.stdio).
  const stream = child.stdio[3] as Duplex;
  const far = new ForkedEnd(child);
  const near = new LocalEnd(new StreamLink<TestMessage, TestMessage>(stream, maxBufferedBytes));
  await once(child, 'message');
  return [near, far, child];
}

describe('the in-memory twin', () => {
  describeChannel({
    connect(maxBufferedBytes) {
      const [left, right] = memoryLinkPair<TestMessage, TestMessage>(maxBufferedBytes);
      return Promise.resolve([new LocalEnd(left), new LocalEnd(right)]);
    },
  });
});

describe('a link over a socket pair', () => {
  describeChannel({
    async connect(maxBufferedBytes) {
      const [near, far] = await socketPair();
      return [
        new LocalEnd(new StreamLink(near, maxBufferedBytes)),
        new LocalEnd(new StreamLink(far, maxBufferedBytes)),
      ];
    },
  });

  it.each([
    ['a length of 2 GiB', 'ffffff7f 00000000', /An envelope of 2147483651 bytes cannot be right/],
    ["a length without room for the JSON's", '03000000 00000000', /An envelope of 7 bytes cannot be right/],
    ['JSON beyond the envelope', '06000000 03000000 7b7d', /ends before its JSON does/],
    ['what is no JSON', '06000000 02000000 7b7b', /JSON/],
  ])('ends with the reason when it gets %s', async (_what, hex, reason) => {
    const [near, far] = await socketPair();
    const end = new LocalEnd(new StreamLink(near, 1024));
    await end.open();
    far.write(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    await eventually(() => end.reasons.length === 1, { what: 'the link ends' });
    expect(end.reasons[0]).toMatch(reason);
    expect(end.received).toEqual([]);
    expect(await end.send({ type: 'late' })).toBe('closed');
    far.resume();
    await eventually(() => far.destroyed, { what: 'the other side is closed' });
  });

  it('takes envelopes that arrive byte by byte', async () => {
    const [near, far] = await socketPair();
    const end = new LocalEnd(new StreamLink(near, 1024));
    await end.open();
    for (const byte of Buffer.from('100000000c0000007b2274797065223a2261227d', 'hex')) {
      far.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await eventually(() => end.received.length === 1, { what: 'the message arrives' });
    expect(end.received).toEqual([{ type: 'a' }]);
    far.end();
    await eventually(() => end.reasons.length === 1, { what: 'the link ends' });
    expect(end.reasons).toEqual(['the other side ended']);
  });

  it('that broke before it was opened says so when it is', async () => {
    const [near] = await socketPair();
    const end = new LocalEnd(new StreamLink(near, 1024));
    const closed = new Promise((resolve) => near.once('close', resolve));
    near.destroy(new Error('reset'));
    await closed;
    await end.open();
    await eventually(() => end.reasons.length === 1, { what: 'the end is told' });
  });
});

describe('a link to another process', () => {
  describeChannel({
    async connect(maxBufferedBytes) {
      const [near, far] = await fork(maxBufferedBytes);
      return [near, far];
    },
  });

  it('ends with the death of that process, after what it had sent', async () => {
    const [near, far, child] = await fork(1024);
    await near.open();
    await far.open();
    await far.send({ type: 'last' });
    child.kill('SIGKILL');
    await eventually(() => near.reasons.length === 1, { what: 'the end is told' });
    expect(near.received).toEqual([{ type: 'last' }]);
  });

  it('ends when that process sends what is no envelope', async () => {
    const [near, far] = await fork(1024);
    await near.open();
    await far.write(Buffer.from('ffffffff00000000', 'hex'));
    await eventually(() => near.reasons.length === 1, { what: 'the link ends' });
    expect(near.reasons[0]).toMatch(/cannot be right/);
  });
});
