import { eventually, patient, readFrames, type RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { App, WorkerContext } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import type { ChannelSnapshot, JoinOutcome, JoinRequest } from '../../api/presence.ts';
import { RoomClient, roomApp } from '../fixtures/rooms.ts';
import { poll, WorkerHarness, type HarnessOptions } from '../fixtures/worker-harness.ts';

let harness: WorkerHarness;
const opened: Connection[] = [];
const closes: (readonly [string[], string | undefined])[] = [];

afterEach(async () => {
  await harness.stop();
  opened.length = 0;
  closes.length = 0;
});

async function start(options: HarnessOptions = {}, more: Partial<App> = {}): Promise<WorkerContext> {
  const app = roomApp(() => harness.context, {
    open: (connection) => void opened.push(connection),
    close: (connection) => void closes.push([[...connection.channels], connection.memberOf('room')]),
    ...more,
  });
  harness = await WorkerHarness.start(app, options);
  if (harness.context === undefined) expect.unreachable();
  return harness.context;
}

async function open(): Promise<[RawClient, Connection]> {
  const count = opened.length;
  const client = await harness.open();
  await poll(() => opened.length).toBe(count + 1);
  return [client, opened.at(-1)!];
}

function request(more: Partial<JoinRequest> = {}): JoinRequest {
  return { channel: 'room', welcome: () => 'welcome', ...more };
}

function member(user: string, maxMembers = 100): Required<Pick<JoinRequest, 'member'>> {
  return { member: { user, info: `{"of":"${user}"}`, maxMembers } };
}

function textsOf(client: RawClient): string[] {
  return readFrames(client.unread).map(({ payload }) => String(payload));
}

function failingWelcome(): string {
  throw new Error('no words');
}

/** What is known of the room. */
async function membersOf(context: WorkerContext): Promise<string[]> {
  return (await context.channelMembers('room', 100)).map(({ user }) => user).toSorted();
}

describe('a connection that joins', () => {
  it('is subscribed, a member, and welcomed with what is known', async () => {
    const context = await start();
    const [client, connection] = await open();
    const seen: ChannelSnapshot[] = [];
    const welcome = (snapshot: ChannelSnapshot): string[] => {
      seen.push(snapshot);
      return ['one', 'two'];
    };
    expect(await context.join(connection, request({ ...member('ada'), lastEvent: true, welcome }))).toBe(
      'joined',
    );
    await poll(() => textsOf(client)).toEqual(['one', 'two']);
    expect(seen).toMatchObject([
      { members: [{ user: 'ada', info: '{"of":"ada"}' }], memberCount: 1, lastEvent: undefined },
    ]);
    expect([connection.isSubscribed('room'), connection.isSubscribed('other')]).toEqual([true, false]);
    expect([connection.memberOf('room'), connection.memberOf('other')]).toEqual(['ada', undefined]);
    expect(connection.channels).toEqual(['room']);
    expect(await membersOf(context)).toEqual(['ada']);
    await client.close();
    await poll(() => closes).toEqual([[['room'], undefined]]);
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
  });

  it('without a member is only subscribed, at once if the channel arrives already', async () => {
    const context = await start();
    const [client, connection] = await open();
    expect(await context.join(connection, request({ welcome: () => [] }))).toBe('joined');
    expect([connection.isSubscribed('room'), connection.memberOf('room')]).toEqual([true, undefined]);
    const [second, other] = await open();
    harness.silenceExchange();
    expect(await context.join(other, request())).toBe('joined');
    harness.resumeExchange();
    expect(await membersOf(context)).toEqual([]);
    await poll(() => textsOf(second)).toEqual(['welcome']);
    await Promise.all([client.close(), second.close()]);
  });

  it('is told of the last event, and of nothing that is kept no longer', async () => {
    const context = await start();
    await context.publish('room', 'forgotten', { keepMs: 1 });
    await eventually(async () => expect(await context.lastEvent('room')).toBeUndefined());
    await context.publish('room', 'kept', { keepMs: 60_000, event: 'news' });
    await context.publish('room', 'not kept');
    const guest = new RoomClient(await harness.client());
    const id = guest.join('room', undefined, { lastEvent: true });
    await poll(() => guest.outcomes.get(id)).toBe('joined');
    expect(await context.lastEvent('room')).toMatchObject({ event: 'news', payload: Buffer.from('kept') });
    const lasts: unknown[] = [];
    const [client, connection] = await open();
    const welcome = ({ lastEvent }: ChannelSnapshot): string => {
      lasts.push(lastEvent?.event, String(lastEvent?.payload));
      return '';
    };
    await context.join(connection, request({ lastEvent: true, welcome }));
    expect(lasts).toEqual(['news', 'kept']);
    expect(guest.said.get('room')).toEqual([]);
    await context.publish('room', 'next', { keepMs: 60_000 });
    await poll(() => guest.said.get('room')).toEqual(['next']);
    await Promise.all([client.close(), guest.client.close()]);
  });

  it('is refused by a full channel, but for further connections of a member', async () => {
    const context = await start();
    const [client, first] = await open();
    const [, second] = await open();
    const [, third] = await open();
    expect(await context.join(first, request(member('ada', 1)))).toBe('joined');
    expect(await context.join(second, request(member('bob', 1)))).toBe('full');
    expect(await context.join(third, request(member('ada', 1)))).toBe('joined');
    expect([second.isSubscribed('room'), second.memberOf('room')]).toEqual([false, undefined]);
    expect(await membersOf(context)).toEqual(['ada']);
    await client.close();
    expect(await context.join(second, request(member('bob', 2)))).toBe('joined');
    expect(await membersOf(context)).toEqual(['ada', 'bob']);
    third.unsubscribe('room');
    await eventually(async () => expect(await membersOf(context)).toEqual(['bob']));
  });

  it('joins once: a second time, and while the first is under way, it is gone', async () => {
    const context = await start();
    const [client, connection] = await open();
    const outcomes = await Promise.all([
      context.join(connection, request(member('ada'))),
      context.join(connection, request(member('ada'))),
    ]);
    expect(outcomes).toEqual(['joined', 'gone']);
    expect(await context.join(connection, request(member('bob')))).toBe('gone');
    await poll(() => textsOf(client)).toEqual(['welcome']);
    expect(await membersOf(context)).toEqual(['ada']);
    connection.unsubscribe('room');
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
    await client.close();
  });

  it.each<[string, (connection: Connection, client: RawClient) => unknown]>([
    ['leaves', (connection) => expect(connection.unsubscribe('room')).toBe(true)],
    ['is closed', (connection) => connection.close()],
    ['is terminated', (connection) => connection.terminate()],
    ['goes away', (_connection, client) => client.reset()],
  ])('and %s while it is on its way is gone, and no member', async (_what, act) => {
    const context = await start();
    const [client, connection] = await open();
    harness.silenceExchange();
    const joined = context.join(connection, request(member('ada')));
    await poll(() => harness.unheardCount).toBeGreaterThan(0);
    act(connection, client);
    await poll(() => connection.isOpen && connection.isSubscribed('room')).toBe(false);
    harness.resumeExchange();
    expect(await joined).toBe('gone');
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
    expect(textsOf(client).filter((text) => text === 'welcome')).toEqual([]);
    await client.close();
  });

  it('may come back at once after it has left', async () => {
    const context = await start();
    const [client, connection] = await open();
    const outcomes: Promise<JoinOutcome>[] = [];
    for (let round = 0; round < 20; round++) {
      outcomes.push(context.join(connection, request(member('ada'))));
      if (round < 19) connection.unsubscribe('room');
    }
    expect((await Promise.all(outcomes)).filter((outcome) => outcome === 'joined')).toHaveLength(1);
    expect(await membersOf(context)).toEqual(['ada']);
    await poll(() => textsOf(client)).toEqual(['welcome']);
    await client.close();
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
  });

  it('is no member when its welcome throws, is none, or closes it', async () => {
    const context = await start();
    const [client, connection] = await open();
    await expect(
      context.join(connection, request({ ...member('ada'), welcome: failingWelcome })),
    ).rejects.toThrow('no words');
    const wrong = JSON.parse('[1]');
    await expect(
      context.join(connection, request({ ...member('ada'), welcome: () => wrong })),
    ).rejects.toThrow('welcome() returns a string, or several');
    expect(connection.isSubscribed('room')).toBe(false);
    const closing = (): string => {
      connection.close();
      return 'bye';
    };
    expect(await context.join(connection, request({ ...member('ada'), welcome: closing }))).toBe('gone');
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
    expect((await client.readFrame()).opcode).toBe(8);
    await client.close();
  });

  it('is told when the master does not answer, and is no member then', async () => {
    const context = await start({ subscribeTimeoutMs: patient(500) });
    const [client, connection] = await open();
    await context.join(connection, request({ channel: 'other' }));
    harness.silenceExchange();
    await expect(context.join(connection, request(member('ada')))).rejects.toMatchObject({
      code: 'BROKER_SUBSCRIBE_TIMEOUT',
    });
    harness.resumeExchange();
    await eventually(async () => expect(await membersOf(context)).toEqual([]));
    expect(await context.join(connection, request(member('ada')))).toBe('joined');
    await client.close();
  });

  it.each<[string, Partial<JoinRequest>]>([
    ['FarmError: A channel name must not be empty.', { channel: '' }],
    [
      'RangeError: a user must have 1 to 256 characters, got 0',
      { member: { user: '', info: '', maxMembers: 1 } },
    ],
    [
      'RangeError: a user must have 1 to 256 characters, got 257',
      { member: { user: 'x'.repeat(257), info: '', maxMembers: 1 } },
    ],
    [
      'RangeError: info of a member has at most 65536 bytes of UTF-8, got 65537',
      { member: { user: 'x', info: 'x'.repeat(65_537), maxMembers: 1 } },
    ],
    [
      'TypeError: info of a member must be a string, got number',
      { member: JSON.parse('{"user":"x","info":7,"maxMembers":1}') },
    ],
    ['RangeError: maxMembers is 1 or more, got 0', { member: { user: 'x', info: '', maxMembers: 0 } }],
    [
      'RangeError: maxMembers is 1 or more, got NaN',
      { member: { user: 'x', info: '', maxMembers: Number.NaN } },
    ],
  ])('must ask properly: %s', async (message, wrong) => {
    const context = await start();
    const [client, connection] = await open();
    await expect(
      context
        .join(connection, request(wrong))
        .catch((error: unknown) => Promise.reject(new Error(String(error)))),
    ).rejects.toThrow(message);
    await client.close();
  });

  it('has no more channels than it may, also when it asks for all at once', async () => {
    const context = await start({ maxSubscriptionsPerConnection: 3 });
    const [client, connection] = await open();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        context.join(connection, request({ ...member('ada'), channel: `${index}` })),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'FARM_ERR_TOO_MANY_SUBSCRIPTIONS' },
    });
    expect(connection.channels).toHaveLength(3);
    await client.close();
  });

  it('that is gone, or was never one, is gone', async () => {
    const context = await start();
    const [client, connection] = await open();
    await client.close();
    await poll(() => connection.isOpen).toBe(false);
    expect(await context.join(connection, request(member('ada')))).toBe('gone');
    expect(await context.join({ ...connection }, request())).toBe('gone');
  });
});

/** A member, and another worker through which others come and go. */
async function startTwo(options: HarnessOptions = {}): Promise<[RoomClient, WorkerHarness, RoomClient]> {
  await start(options);
  const guest = new RoomClient(await harness.client());
  const id = guest.join('room', 'ada');
  await poll(() => guest.outcomes.get(id)).toBe('joined');
  const second = await WorkerHarness.start(
    roomApp(() => second.context),
    { beside: harness },
  );
  const other = new RoomClient(await second.client());
  return [guest, second, other];
}

describe('what may have been missed', () => {
  it('is told to members once it is known, in its place among the changes', async () => {
    const [guest, second, other] = await startTwo();
    harness.isLost = ({ type }) => type === 'publication';
    const id = other.join('room', 'bob');
    await poll(() => other.outcomes.get(id)).toBe('joined');
    expect([...(guest.members.get('room') ?? [])]).toEqual(['ada']);
    harness.isLost = () => false;
    harness.send({
      type: 'broker',
      message: { type: 'gap', channelCount: 1, channels: ['room'], droppedCount: 1, sinceMs: 5 },
    });
    await poll(() => [...(guest.members.get('room') ?? [])].toSorted()).toEqual(['ada', 'bob']);
    expect(guest.lists.get('room')).toBe(2);
    other.leave('room');
    await poll(() => [...(guest.members.get('room') ?? [])]).toEqual(['ada']);
    expect(guest.mistakes).toEqual([]);
    expect(await harness.count('resyncs')).toBe(1);
    await Promise.all([guest.client.close(), other.client.close()]);
    await second.stop();
  });

  it('is told again after another gap, and in the middle of changes', async () => {
    const [guest, second, other] = await startTwo();
    const users = Array.from({ length: 60 }, (_, index) => `user ${index}`);
    let lost = 0;
    harness.isLost = ({ type }) => type === 'publication' && ++lost % 3 === 0;
    const others = await Promise.all(users.map(async () => new RoomClient(await second.client())));
    for (const [index, each] of others.entries()) {
      each.join('room', users[index] ?? '');
      if (index % 10 === 0)
        harness.send({
          type: 'broker',
          message: { type: 'gap', channelCount: 1, droppedCount: 1, sinceMs: 5 },
        });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await poll(() => others.every(({ outcomes }) => outcomes.size === 1)).toBe(true);
    harness.isLost = () => false;
    harness.send({ type: 'broker', message: { type: 'gap', channelCount: 1, droppedCount: 1, sinceMs: 5 } });
    await poll(() => guest.members.get('room')?.size).toBe(61);
    await Promise.all([guest, other, ...others].map(({ client }) => client.close()));
    await second.stop();
  });

  it('because a flood has filled the queue is told after it', async () => {
    const [guest, second, other] = await startTwo({ maxBroadcastQueueBytes: 65_536 });
    const publishing = Array.from({ length: 200 }, async () =>
      second.context?.publish('room', 'x'.repeat(10_000)),
    );
    const id = other.join('room', 'bob');
    await Promise.all(publishing);
    await poll(() => other.outcomes.get(id)).toBe('joined');
    await poll(() => [...(guest.members.get('room') ?? [])].toSorted()).toEqual(['ada', 'bob']);
    other.leave('room');
    await poll(() => [...(guest.members.get('room') ?? [])]).toEqual(['ada']);
    expect(await harness.count('publications_dropped')).toBeGreaterThan(0);
    await Promise.all([guest.client.close(), other.client.close()]);
    await second.stop();
  });
});

describe('what is asked of channels', () => {
  it('counts subscribers and users of apps that want it, over all workers, and tells them', async () => {
    const asked = new Set<string>();
    const counting: Partial<App> = {
      occupancy: true,
      tellsCount: (channel) => asked.add(channel) && channel === 'room',
    };
    const context = await start({}, counting);
    const second = await WorkerHarness.start(
      roomApp(() => second.context, counting),
      { beside: harness },
    );
    const [[client, connection], [client2, connection2]] = [await open(), await open()];
    const there = new RoomClient(await second.client());
    for (const each of [connection, connection2]) {
      each.user = 'ada';
      await each.subscribe('room');
    }
    there.join('room');
    await eventually(async () => {
      expect(await context.channelStates(['room', 'none'])).toEqual([
        { subscribers: 3, members: 0 },
        { subscribers: 0, members: 0 },
      ]);
      expect(await context.countUser('ada')).toBe(2);
    });
    expect(await context.occupiedChannels('', 10)).toEqual(['room']);
    expect(await context.occupiedChannels('x', 10)).toEqual([]);
    await poll(() => textsOf(client).at(-1)).toBe('{"count":"3","room":"room"}');
    await client.close();
    connection2.user = 'bob';
    await eventually(async () => {
      expect(await context.channelStates(['room'])).toEqual([{ subscribers: 2, members: 0 }]);
      expect([await context.countUser('ada'), await context.countUser('bob')]).toEqual([0, 1]);
    });
    await there.client.close();
    connection2.unsubscribe('room');
    await eventually(async () => expect(await context.occupiedChannels('', 10)).toEqual([]));
    await client2.close();
    await eventually(async () => expect(await context.countUser('bob')).toBe(0));
    // Users are counted as channels are, which is nobody's business.
    expect([...asked]).toEqual(['room']);
    await second.stop();
  });

  it('says nothing of apps that do not want it', async () => {
    const context = await start();
    const [client, connection] = await open();
    connection.user = 'ada';
    await connection.subscribe('room');
    expect(await context.channelStates(['room'])).toEqual([{ subscribers: 0, members: 0 }]);
    expect([await context.countUser('ada'), await context.occupiedChannels('', 10)]).toEqual([0, []]);
    await client.close();
  });

  it('goes on when a hook fails that is asked about counts', async () => {
    const context = await start(
      {},
      {
        occupancy: true,
        tellsCount: () => {
          throw new Error('no idea');
        },
      },
    );
    const [client, connection] = await open();
    await connection.subscribe('room');
    await eventually(async () =>
      expect(await context.channelStates(['room'])).toMatchObject([{ subscribers: 1 }]),
    );
    expect(await harness.count('app_errors')).toBeGreaterThan(0);
    await client.close();
  });
});
