import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { AskAnswer, KnownConnection } from '../../link/questions.ts';
import { RoomClient, roomApp } from '../fixtures/rooms.ts';
import {
  FIRST_ID,
  poll,
  textFrame,
  upgradeHead,
  WorkerHarness,
  type HarnessOptions,
} from '../fixtures/worker-harness.ts';

let harness: WorkerHarness | undefined;

async function start(app: App, options?: HarnessOptions): Promise<WorkerHarness> {
  harness = await WorkerHarness.start(app, options);
  return harness;
}

afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

const CHAT: App = {
  name: 'chat',
  upgrade: ({ query }) => accept({ channels: query.getAll('channel'), user: query.get('user') ?? undefined }),
};

function disconnect(worker: WorkerHarness, target: object, options: object = {}): Promise<AskAnswer> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- wrong ones, too.
  return worker.ask({ question: 'disconnect', target, ...options } as Parameters<WorkerHarness['ask']>[0]);
}

async function detailsOf(worker: WorkerHarness, connection: string): Promise<KnownConnection | null> {
  const answer = await worker.ask({ question: 'connection', connection });
  if (answer.kind !== 'connection') throw new Error('the worker answered another question');
  return answer.details;
}

describe('an operator', () => {
  it('sees what is known of a connection', async () => {
    const worker = await start(CHAT);
    const path = '/?channel=news&channel=sports&user=ann';
    const client = await worker.open(path);
    client.write(textFrame('hello'));
    await poll(() => detailsOf(worker, FIRST_ID)).toMatchObject({
      tcp: { receivedBytes: upgradeHead(path).length + 11 },
    });
    const details = await detailsOf(worker, FIRST_ID);
    expect(details).toMatchObject({
      id: FIRST_ID,
      worker: 0,
      app: 'chat',
      state: 'open',
      remoteAddress: '127.0.0.1',
      user: 'ann',
      channelCount: 2,
      bufferedBytes: 0,
      isCompressed: false,
      hasGap: false,
      expiresAt: null,
      tcp: { retransmittedSegments: 0 },
    });
    expect(details?.channels.toSorted()).toEqual(['news', 'sports']);
    expect(details?.silentMs).toBeGreaterThanOrEqual(0);
    expect(details?.tcp?.rttMs).toBeGreaterThan(0);
  });

  it.each([`${FIRST_ID}0`, 'nonsense', '', '1.2', FIRST_ID.replace(/^\d/, '9')])(
    'is told that there is no connection %j',
    async (id) => {
      const worker = await start(CHAT);
      await worker.open();
      expect(await detailsOf(worker, id)).toBeNull();
      expect(await disconnect(worker, { connection: id })).toEqual({ kind: 'done', isFound: false });
    },
  );

  it('closes one connection, with the code and reason that it wants', async () => {
    const worker = await start(CHAT);
    const [one, other] = [await worker.client(), await worker.client()];
    const answer = await disconnect(worker, { connection: FIRST_ID }, { code: 4999, reason: 'goodbye' });
    expect(answer).toEqual({ kind: 'done', isFound: true });
    expect(await one.closed).toMatchObject({ code: 4999, reason: 'goodbye' });
    other.send('still here');
    await poll(() => worker.count('messages_received')).toBe(1);
    expect(await detailsOf(worker, FIRST_ID)).toBeNull();
  });

  it('closes it, as any other, with the code that its app has in the place of ours', async () => {
    const worker = await start({ ...CHAT, closeCodes: { 4500: { code: 4009 } } });
    const [one, ann] = [await worker.client(), await worker.client('/?user=ann')];
    await disconnect(worker, { connection: FIRST_ID }, { reason: 'goodbye' });
    expect(await one.closed).toMatchObject({ code: 4009, reason: 'goodbye' });
    await disconnect(worker, { user: 'ann' });
    expect((await ann.closed).code).toBe(4009);
  });

  it('closes all connections of a user or of a channel, with 4500 unless told otherwise', async () => {
    const worker = await start(CHAT);
    const ann = [await worker.client('/?user=ann'), await worker.client('/?user=ann')];
    const reader = await worker.client('/?channel=news&user=bob');
    expect(await disconnect(worker, { user: 'ann' })).toEqual({ kind: 'done', isFound: true });
    for (const client of ann) expect((await client.closed).code).toBe(4500);
    expect(await disconnect(worker, { channel: 'news' })).toEqual({ kind: 'done', isFound: true });
    expect((await reader.closed).code).toBe(4500);
  });

  it.each([
    [{ code: 1005 }, 'A close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, got 1005.'],
    [{ code: 200 }, 'A close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, got 200.'],
    [{ reason: null }, 'A reason must be a string, got object.'],
    [{ reason: 'x'.repeat(124) }, 'A reason has at most 123 bytes, got 124.'],
  ])('is refused %j', async (options, reason) => {
    const worker = await start(CHAT);
    expect(await disconnect(worker, { user: 'ann' }, options)).toEqual({
      kind: 'refused',
      code: 'FARM_ERR_OPTION',
      reason,
    });
  });

  it('publishes to a channel', async () => {
    const worker = await start(CHAT);
    const reader = await worker.client('/?channel=news');
    expect(await worker.ask({ question: 'publish', channel: 'news', data: 'hello' })).toEqual({
      kind: 'done',
      isFound: true,
    });
    expect((await reader.nextMessage()).text).toBe('hello');
    expect(await worker.ask({ question: 'publish', channel: 'a\n', data: 'x' })).toMatchObject({
      kind: 'refused',
      code: 'FARM_ERR_CHANNEL_NAME',
    });
  });

  it('is told when the broker does not take it', async () => {
    const worker = await start(CHAT, { subscribeTimeoutMs: 100 });
    worker.silenceExchange();
    expect(await worker.ask({ question: 'publish', channel: 'news', data: 'hello' })).toMatchObject({
      kind: 'refused',
      code: 'FARM_ERR_QUERY',
    });
  });

  it('sees the channels with the most subscribers, largest first', async () => {
    const worker = await start(CHAT);
    for (const channels of ['a', 'a,b', 'a,b,c', 'd']) {
      await worker.client(
        `/?${channels
          .split(',')
          .map((name) => `channel=${name}`)
          .join('&')}`,
      );
    }
    expect(await worker.ask({ question: 'topChannels', limit: 2, by: 'subscribers' })).toEqual({
      kind: 'channels',
      channels: [
        { channel: 'a', subscribers: 3 },
        { channel: 'b', subscribers: 2 },
      ],
    });
  });

  it('sees who is a member where, and the channels with the most members', async () => {
    const worker = await start(roomApp(() => harness?.context));
    const users = [
      ['ada', 'room'],
      ['bob', 'room'],
      ['ada', 'hall'],
      [undefined, 'yard'],
    ] as const;
    for (const [user, room] of users) {
      const guest = new RoomClient(await worker.client('/'));
      const id = guest.join(room, user);
      await poll(() => guest.outcomes.get(id)).toBe('joined');
    }
    expect((await worker.measured()).gauges).toMatchObject({ presence_members: 3, presence_channels: 2 });
    expect(await worker.ask({ question: 'topChannels', limit: 2, by: 'members' })).toEqual({
      kind: 'channels',
      channels: [
        { channel: 'room', subscribers: 2 },
        { channel: 'hall', subscribers: 1 },
      ],
    });
    expect(await worker.ask({ question: 'counts', channels: ['room', 'hall', 'yard'] })).toMatchObject({
      kind: 'counts',
      counts: [{ members: 2 }, { members: 1 }, { members: 0 }],
    });
    const answer = await worker.ask({ question: 'members', channel: 'room', limit: 1 });
    if (answer.kind !== 'members') throw new Error('the worker answered another question');
    expect(answer.members.memberCount).toBe(2);
    expect(answer.members.members).toHaveLength(1);
    expect(await detailsOf(worker, FIRST_ID)).toMatchObject({
      number: 1,
      memberOf: [{ channel: 'room', user: 'ada' }],
    });
  });
});
