import { hiddenChannel } from './hidden-channel.ts';
import { eventually, seededRandom } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Broker } from './broker.ts';
import { Recorder, settle, TestBroker } from './broker.contract.ts';
import type { ChannelEvents, ChannelStoreOptions, JoinOptions, RecordedEvent } from './channel-store.ts';

/** What a kind of broker brings for the contract of its store. */
export interface ChannelStoreContract {
  /** A broker that is not started yet; all of a test hear each other. */
  create(seen: Recorder, options: ChannelStoreOptions): Broker | Promise<Broker>;
  /** Ends it as the end of its process does. */
  end(broker: Broker): Promise<void>;
  /** Ends it without a word, as SIGKILL ends its process. */
  kill(broker: Broker): Promise<void>;
  /** A consumer of what they record. */
  consume(): ChannelEvents;
}

/** A worker, and what it has been told of channels. */
export class StoreWorker extends TestBroker {
  get store(): Broker['store'] {
    return this.broker.store;
  }

  join(channel: string, user: string, options: Partial<JoinOptions & { info: string }> = {}) {
    const { info = `{"of":"${user}"}`, maxMembers = 100, mark = false, lastEvent = false } = options;
    return this.store.join(channel, { user, info }, { maxMembers, mark, lastEvent });
  }

  read(channel: string, options: { mark?: boolean; lastEvent?: boolean; memberLimit?: number } = {}) {
    const { mark = false, lastEvent = false, memberLimit = 1_000 } = options;
    return this.store.read(channel, { mark, lastEvent, memberLimit, members: true });
  }

  /** Users in the channel, in the order of their names. */
  async users(channel: string): Promise<readonly string[]> {
    const { members } = await this.read(channel);
    return members.map(({ user }) => user).toSorted();
  }

  /** What has been published about a channel, but for plain publications: `+ada`, `-ada`, `=3` (a count), `!` (a mark). */
  changes(channel: string): string[] {
    return this.envelopes(channel).map(({ kind, user = '', payload }) => {
      if (kind === 'join') return `+${user}`;
      if (kind === 'leave') return `-${user}`;
      return kind === 'count' ? `=${payload.toString()}` : '!';
    });
  }

  envelopes(channel: string) {
    return this.seen.publications.filter((each) => each.channel === channel && each.kind !== 'publication');
  }
}

/** What every store does. Call it inside a `describe`. */
export function describeChannelStoreContract(contract: ChannelStoreContract): void {
  const running = new Set<Broker>();
  const ends: (() => Promise<void>)[] = [];

  async function start(options: ChannelStoreOptions = {}): Promise<StoreWorker> {
    const seen = new Recorder();
    const broker = await contract.create(seen, options);
    running.add(broker);
    await broker.start();
    await eventually(() => broker.state === 'ready', { what: 'the broker is ready' });
    return new StoreWorker(broker, seen);
  }

  async function startTwo(options: ChannelStoreOptions = {}): Promise<[StoreWorker, StoreWorker]> {
    return [await start(options), await start(options)];
  }

  function consume(): ChannelEvents {
    const events = contract.consume();
    ends.push(() => events.stop());
    return events;
  }

  async function kill(worker: StoreWorker): Promise<void> {
    running.delete(worker.broker);
    await contract.kill(worker.broker);
  }

  afterEach(async () => {
    await Promise.all([...running].map((broker) => broker.stop()));
    running.clear();
    for (const end of ends.splice(0)) await end();
  });

  describe('a member', () => {
    it('is announced when the first worker joins for it, and leaves with the last', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('room');
      const { outcome, snapshot } = await one.join('room', 'ada');
      expect(outcome).toBe('joined');
      expect(snapshot).toMatchObject({ members: [{ user: 'ada', info: '{"of":"ada"}' }], memberCount: 1 });
      await other.join('room', 'ada');
      one.store.leave('room', 'ada');
      await one.join('room', 'bob');
      expect(await other.users('room')).toEqual(['ada', 'bob']);
      other.store.leave('room', 'ada');
      await eventually(async () => expect(await other.users('room')).toEqual(['bob']));
      await settle(one);
      expect(one.changes('room')).toEqual(['+ada', '+bob', '-ada']);
    });

    it('is what the first who joined has said of it', async () => {
      const [one, other] = await startTwo();
      await one.join('room', 'ada', { info: '{"name":"Ada"}' });
      const { snapshot } = await other.join('room', 'ada', { info: '{"name":"Countess"}' });
      expect(snapshot.members).toEqual([{ user: 'ada', info: '{"name":"Ada"}' }]);
      one.store.leave('room', 'ada');
      await one.join('room', 'bob', { info: '' });
      expect((await one.read('room')).members).toContainEqual({ user: 'ada', info: '{"name":"Ada"}' });
      expect((await one.read('room')).members).toContainEqual({ user: 'bob', info: '' });
    });

    it('joins once, however often its worker says so', async () => {
      const worker = await start();
      await worker.subscribe('room');
      await Promise.all(Array.from({ length: 20 }, () => worker.join('room', 'ada')));
      worker.store.leave('room', 'ada');
      worker.store.leave('room', 'ada');
      await eventually(async () => expect(await worker.users('room')).toEqual([]));
      await settle(worker);
      expect(worker.changes('room')).toEqual(['+ada', '-ada']);
    });

    it('is one to its own worker from the call of join on, until it leaves or is refused', async () => {
      const [worker, other] = await startTwo();
      const isMember = (): boolean => worker.store.isMember('room', 'ada');
      expect(isMember()).toBe(false);
      const joined = worker.join('room', 'ada');
      expect(isMember()).toBe(true);
      await joined;
      expect(isMember()).toBe(true);
      expect(other.store.isMember('room', 'ada')).toBe(false);
      worker.store.leave('room', 'ada');
      expect(isMember()).toBe(false);
      await other.join('room', 'bob');
      expect(await worker.join('room', 'ada', { maxMembers: 1 })).toMatchObject({ outcome: 'full' });
      expect(isMember()).toBe(false);
    });

    it('can leave while it joins, and join while it leaves', async () => {
      const worker = await start();
      await worker.subscribe('room');
      for (let round = 0; round < 50; round += 1) {
        const joined = worker.join('room', 'ada');
        worker.store.leave('room', 'ada');
        if (round % 2 === 0) await joined.catch(() => {});
      }
      await worker.join('room', 'ada');
      expect(await worker.users('room')).toEqual(['ada']);
      worker.store.leave('room', 'ada');
      await eventually(async () => expect(await worker.users('room')).toEqual([]));
      await settle(worker);
      const changes = worker.changes('room');
      expect(changes.length % 2).toBe(0);
      expect(changes).toEqual(changes.map((_, index) => (index % 2 === 0 ? '+ada' : '-ada')));
    });

    it('that has not joined leaves nothing', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('room');
      await one.join('room', 'ada');
      other.store.leave('room', 'ada');
      one.store.leave('room', 'bob');
      one.store.leave('other', 'ada');
      await other.join('room', 'bob');
      await settle(one);
      expect(await one.users('room')).toEqual(['ada', 'bob']);
      expect(one.changes('room')).toEqual(['+ada', '+bob']);
    });

    it.each([
      ['braces', '}{tag}', '{}'],
      ['line feeds', 'a\nb\r\n', 'c\nd'],
      ['percent signs', '%7D%0A%', '%25'],
      ['other alphabets', 'ü🐓', 'ж'],
      ['names of commands and properties', '__proto__', 'constructor'],
      ['what separates a count from an info', 'a:b', '1:2'],
      ['spaces', ' ', '  '],
      ['the longest names', 'x'.repeat(1024), 'ü'.repeat(100)],
    ])('may have %s in its name and in that of its channel', async (_what, channel, user) => {
      const [one, other] = await startTwo();
      await one.subscribe(channel);
      await one.join(channel, user, { info: `{"a":"${user.length}:\\n"}` });
      expect((await other.read(channel)).members).toEqual([{ user, info: `{"a":"${user.length}:\\n"}` }]);
      await kill(one);
      await eventually(async () => expect(await other.users(channel)).toEqual([]));
    });

    it('is refused in a channel that is full, unless it is there already', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('room');
      await one.join('room', 'ada', { maxMembers: 2 });
      await one.join('room', 'bob', { maxMembers: 2 });
      const refused = await other.join('room', 'eve', { maxMembers: 2 });
      expect(refused).toMatchObject({ outcome: 'full', snapshot: { memberCount: 2 } });
      expect(await other.join('room', 'bob', { maxMembers: 2 })).toMatchObject({ outcome: 'joined' });
      // Two members are over this limit, and still it may come again.
      expect(await other.join('room', 'ada', { maxMembers: 1 })).toMatchObject({ outcome: 'joined' });
      other.store.leave('room', 'eve');
      one.store.leave('room', 'bob');
      other.store.leave('room', 'bob');
      await eventually(async () => {
        expect(await other.join('room', 'eve', { maxMembers: 2 })).toMatchObject({ outcome: 'joined' });
      });
      await settle(one);
      expect(one.changes('room')).toEqual(['+ada', '+bob', '-bob', '+eve']);
    });

    it('joins of many workers at once fill a channel to its limit, and not beyond', async () => {
      const workers = [await start(), await start(), await start()] as const;
      await workers[0].subscribe('room');
      const joins = Array.from({ length: 90 }, (_, index) =>
        workers[index % 3 === 0 ? 0 : index % 3 === 1 ? 1 : 2].join('room', `user ${index}`, {
          maxMembers: 40,
        }),
      );
      const outcomes = (await Promise.all(joins)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === 'joined')).toHaveLength(40);
      await settle(workers[0]);
      expect(workers[0].changes('room')).toHaveLength(40);
    });

    it.each([
      ['is empty', ''],
      ['has 65,536 bytes', 'x'.repeat(65_536)],
    ])('needs a name that fits: one that %s is a mistake', async (_what, user) => {
      const worker = await start();
      await expect(worker.join('room', user)).rejects.toThrow(RangeError);
      worker.store.leave('room', user);
    });

    it('needs a channel with a name that can be one', async () => {
      const worker = await start();
      const expected = { code: 'BROKER_INVALID_CHANNEL' };
      await expect(worker.join('', 'ada')).rejects.toMatchObject(expected);
      await expect(worker.read('x'.repeat(1_025))).rejects.toMatchObject(expected);
      await expect(worker.store.publishLast('', Buffer.from('x'), {}, 1)).rejects.toMatchObject(expected);
    });
  });

  describe('a version', () => {
    it('is that of the envelope which told the change, and grows with each', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('room');
      const versions: number[] = [];
      for (const user of ['ada', 'bob', 'eve']) {
        const { snapshot } = await other.join('room', user);
        versions.push(snapshot.version);
      }
      await other.store.publishLast('room', Buffer.from('x'), {}, 60_000);
      versions.push((await other.read('room')).version);
      other.store.leave('room', 'ada');
      await eventually(async () => expect(await other.users('room')).toEqual(['bob', 'eve']));
      versions.push((await other.read('room')).version);
      await settle(one);
      const told = one.seen.publications.filter(({ channel }) => channel === 'room');
      expect(told.map(({ version }) => version)).toEqual(versions);
      expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
      expect(told.map(({ kind }) => kind)).toEqual(['join', 'join', 'join', 'publication', 'leave']);
      expect(told[0]).toMatchObject({ user: 'ada', payload: Buffer.from('{"of":"ada"}') });
    });

    it('is told by a mark to who asks for one, when nothing else tells it', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('room');
      const { snapshot: first } = await one.join('room', 'ada', { mark: true });
      const { snapshot: again } = await other.join('room', 'ada', { mark: true });
      await other.join('room', 'ada');
      const read = await other.read('room', { mark: true });
      await settle(one);
      expect(one.envelopes('room').map(({ kind, version }) => [kind, version])).toEqual([
        ['join', first.version],
        ['mark', first.version],
        ['mark', first.version],
      ]);
      expect(again.version).toBe(first.version);
      expect(read.version).toBe(first.version);
    });

    it('is 0, and needs no mark, where nothing has happened', async () => {
      const worker = await start();
      await worker.subscribe('room');
      expect(await worker.read('room', { mark: true, lastEvent: true })).toEqual({
        version: 0,
        members: [],
        memberCount: 0,
        lastEvent: undefined,
      });
      await settle(worker);
      expect(worker.changes('room')).toEqual([]);
    });
  });

  describe('what is read', () => {
    it('has as many members as were asked for, and says how many there are', async () => {
      const worker = await start();
      const users = Array.from({ length: 300 }, (_, index) => `user ${index}`);
      await Promise.all(users.map((user) => worker.join('room', user, { maxMembers: 1_000 })));
      const some = await worker.read('room', { memberLimit: 10 });
      expect(some.memberCount).toBe(300);
      expect(new Set(some.members.map(({ user }) => user)).size).toBe(10);
      expect(await worker.read('room', { memberLimit: Number.POSITIVE_INFINITY })).toMatchObject({
        memberCount: 300,
        members: expect.objectContaining({ length: 300 }),
      });
      const none = await worker.store.read('room', {
        mark: false,
        members: false,
        lastEvent: false,
        memberLimit: 10,
      });
      expect(none).toMatchObject({ members: [], memberCount: 300 });
    });
  });

  describe('a last event', () => {
    it('is published, and kept with its name, its bytes and the time that it has left', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('cache');
      const payload = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      await other.store.publishLast('cache', payload, { event: 'püb', except: '1.2', user: 'ada' }, 60_000);
      const { lastEvent } = await other.read('cache', { lastEvent: true });
      expect(lastEvent).toMatchObject({ event: 'püb', payload });
      expect(lastEvent?.ttlMs).toBeGreaterThan(0);
      expect(lastEvent?.ttlMs).toBeLessThanOrEqual(60_000);
      expect((await other.read('cache')).lastEvent).toBeUndefined();
      const { snapshot } = await one.join('cache', 'ada', { lastEvent: true });
      expect(snapshot.lastEvent).toMatchObject({ event: 'püb', payload });
      await settle(one);
      const [told] = one.seen.publications;
      expect(told).toMatchObject({ kind: 'publication', event: 'püb', except: '1.2', user: 'ada', payload });
    });

    it('is the last: the next one takes its place, and an ordinary publication does not', async () => {
      const worker = await start();
      await worker.store.publishLast('cache', Buffer.from('first'), { event: 'a' }, 60_000);
      await worker.store.publishLast('cache', Buffer.from('second'), {}, 60_000);
      await worker.broker.publish('cache', Buffer.from('third'), { event: 'c' });
      const { lastEvent } = await worker.read('cache', { lastEvent: true });
      expect(lastEvent).toMatchObject({ event: undefined, payload: Buffer.from('second') });
    });

    it('is gone when its time is over', async () => {
      const worker = await start();
      await worker.store.publishLast('cache', Buffer.from('x'), {}, 50);
      await eventually(async () => {
        expect((await worker.read('cache', { lastEvent: true })).lastEvent).toBeUndefined();
      });
    });

    it.each([0, -1, 0.5, Number.NaN])('is kept for a whole number of ms, not for %d', async (keepMs) => {
      const worker = await start();
      await expect(worker.store.publishLast('cache', Buffer.from('x'), {}, keepMs)).rejects.toThrow(
        RangeError,
      );
    });
  });

  describe('subscribers', () => {
    it('are counted over all workers', async () => {
      const [one, other] = await startTwo();
      one.store.setSubscribers('news', 3, { tellsCount: false });
      other.store.setSubscribers('news', 4, { tellsCount: false });
      other.store.setSubscribers('other', 1, { tellsCount: false });
      await one.join('news', 'ada');
      await eventually(async () => {
        expect(await one.store.counts(['news', 'nobody', 'other'])).toEqual([
          { subscribers: 7, members: 1 },
          { subscribers: 0, members: 0 },
          { subscribers: 1, members: 0 },
        ]);
      });
      expect(other.store.subscribers('news')).toBe(4);
      expect(other.store.subscribers('nobody')).toBe(0);
      for (const count of [5, 6, 7, 8]) one.store.setSubscribers('news', count, { tellsCount: false });
      await eventually(async () =>
        expect(await one.store.counts(['news'])).toMatchObject([{ subscribers: 12 }]),
      );
      expect(await one.store.counts([])).toEqual([]);
    });

    it('of many channels are counted in one call', async () => {
      const worker = await start();
      const channels = Array.from({ length: 300 }, (_, index) => `channel ${index}`);
      for (const [index, channel] of channels.entries()) {
        worker.store.setSubscribers(channel, index + 1, { tellsCount: false });
      }
      await eventually(async () => {
        const counts = await worker.store.counts(channels);
        expect(counts.map(({ subscribers }) => subscribers)).toEqual(channels.map((_, index) => index + 1));
      });
    });

    it('are told to each other, all of them, where that is wanted', async () => {
      const [one, other] = await startTwo();
      await one.subscribe('news');
      one.store.setSubscribers('news', 1, { tellsCount: true });
      await eventually(() => expect(one.changes('news')).toEqual(['=1']));
      other.store.setSubscribers('news', 2, { tellsCount: true });
      await eventually(() => expect(one.changes('news')).toEqual(['=1', '=3']));
      // Within the interval: the first and the last are told, not each between them.
      for (let count = 3; count <= 50; count += 1)
        other.store.setSubscribers('news', count, { tellsCount: true });
      await eventually(() => expect(one.changes('news').at(-1)).toBe('=51'));
      expect(one.changes('news').length).toBeLessThan(6);
      other.store.setSubscribers('news', 0, { tellsCount: true });
      await eventually(() => expect(one.changes('news').at(-1)).toBe('=1'));
      expect(one.envelopes('news').every(({ version }) => version === 0)).toBe(true);
    });

    it('may change their worker, and no sum changes, and nobody is told', async () => {
      const [one, other] = await startTwo({
        recorded: ['channel_occupied', 'channel_vacated', 'subscription_count'],
      });
      const events = consume();
      await other.subscribe('room');
      one.store.setSubscribers('room', 5, { tellsCount: true });
      await eventually(() => expect(other.changes('room')).toEqual(['=5']));
      for (const { store } of [one, other]) await store.holdCounts(['room']);
      other.store.setSubscribers('room', 3, { tellsCount: true });
      one.store.setSubscribers('room', 2, { tellsCount: true });
      const from = one.store.owner ?? '';
      expect(await other.store.takeCount('room', from, 3, { tellsCount: true })).toBe(3);
      expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 5 }]);
      one.store.gaveCount('room', 3);
      for (const { store } of [one, other]) store.releaseCounts(['room']);
      // The others, too: then the first has none.
      for (const { store } of [one, other]) await store.holdCounts(['room']);
      other.store.setSubscribers('room', 5, { tellsCount: true });
      one.store.setSubscribers('room', 0, { tellsCount: true });
      expect(await other.store.takeCount('room', from, 2, { tellsCount: true })).toBe(2);
      one.store.gaveCount('room', 2);
      for (const { store } of [one, other]) store.releaseCounts(['room']);
      expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 5 }]);
      // What the first had is gone: its end changes nothing, and theirs everything.
      await kill(one);
      await other.broker.store.addEvent({ type: 'channel_occupied', channel: 'behind' });
      expect(await other.store.counts(['room'])).toMatchObject([{ subscribers: 5 }]);
      other.store.setSubscribers('room', 0, { tellsCount: true });
      await eventually(() => expect(other.changes('room')).toEqual(['=5', '=0']));
      const seen = (await take(events, 5)).map(({ type, count = '' }) => `${type} ${count}`.trim());
      expect(seen).toEqual([
        'channel_occupied',
        'subscription_count 5',
        'channel_occupied',
        'channel_vacated',
        'subscription_count 0',
      ]);
    });

    it('change their worker as far as they have been told of; the new one tells of the others', async () => {
      const [one, other] = await startTwo();
      one.store.setSubscribers('room', 1, { tellsCount: false });
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 1 }]),
      );
      // Not told yet, since it was only just told.
      one.store.setSubscribers('room', 4, { tellsCount: false });
      for (const { store } of [one, other]) await store.holdCounts(['room']);
      other.store.setSubscribers('room', 4, { tellsCount: false });
      one.store.setSubscribers('room', 0, { tellsCount: false });
      const taken = await other.store.takeCount('room', one.store.owner ?? '', 4, { tellsCount: false });
      expect(taken).toBe(1);
      one.store.gaveCount('room', taken);
      for (const { store } of [one, other]) store.releaseCounts(['room']);
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 4 }]),
      );
    });

    it('of whom it is not known whether they have changed their worker are told again', async () => {
      const [one, other] = await startTwo();
      one.store.setSubscribers('room', 2, { tellsCount: false });
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 2 }]),
      );
      await one.store.holdCounts(['room']);
      await other.store.holdCounts(['room']);
      other.store.setSubscribers('room', 2, { tellsCount: false });
      await other.store.takeCount('room', one.store.owner ?? '', 2, { tellsCount: false });
      // The first has taken them back, and heard nothing.
      one.store.gaveCount('room', undefined);
      one.store.releaseCounts(['room']);
      await kill(other);
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 2 }]),
      );
    });

    it('are told when the last hold ends, and only then', async () => {
      const [one, other] = await startTwo();
      await one.store.holdCounts(['room', 'free']);
      await one.store.holdCounts(['room']);
      one.store.setSubscribers('room', 1, { tellsCount: false });
      one.store.releaseCounts(['room', 'free']);
      one.store.setSubscribers('free', 1, { tellsCount: false });
      await eventually(async () => expect(await other.store.occupiedChannels('', 10)).toEqual(['free']));
      one.store.releaseCounts(['room']);
      await eventually(async () =>
        expect(ordered(await other.store.occupiedChannels('', 10))).toEqual(['free', 'room']),
      );
    });

    it('make a channel occupied, from the first to the last', async () => {
      const [one, other] = await startTwo();
      for (const name of ['b', 'a/2', 'a/1', 'a', 'ä', 'a/\u{1F413}', 'a/\uE000']) {
        one.store.setSubscribers(name, 1, { tellsCount: false });
        other.store.setSubscribers(name, 1, { tellsCount: false });
      }
      const all = ['a', 'a/1', 'a/2', 'a/\uE000', 'a/\u{1F413}', 'b', 'ä'];
      const occupied = async (prefix: string, limit = 100): Promise<string[]> => [
        ...(await one.store.occupiedChannels(prefix, limit)),
      ];
      await eventually(async () => expect(ordered(await occupied(''))).toEqual(all));
      expect(ordered(await occupied('a/'))).toEqual(all.slice(1, 5));
      const two = await occupied('a/', 2);
      expect(new Set(two).size).toBe(2);
      expect(all.slice(1, 5)).toEqual(expect.arrayContaining(two));
      expect(await occupied('c', 2)).toEqual([]);
      one.store.setSubscribers('b', 0, { tellsCount: false });
      one.store.setSubscribers('a', 0, { tellsCount: false });
      other.store.setSubscribers('a', 0, { tellsCount: false });
      await eventually(async () => expect(ordered(await occupied(''))).toEqual(all.slice(1)));
    });

    it('are counted of what is hidden, too, which nobody is shown, and nothing recorded of', async () => {
      const [one, other] = await startTwo();
      const hidden = hiddenChannel('ada');
      other.store.setSubscribers(hidden, 2, { tellsCount: false });
      other.store.setSubscribers('shown', 1, { tellsCount: false });
      await eventually(async () =>
        expect(await one.store.counts([hidden])).toEqual([{ subscribers: 2, members: 0 }]),
      );
      expect(await one.store.occupiedChannels('', 1)).toEqual(['shown']);
      expect(await one.store.occupiedChannels(hidden.slice(0, 1), 10)).toEqual([]);
    });

    it('of a channel may come and go at any pace: what was said last holds', async () => {
      const [one, other] = await startTwo();
      for (let round = 0; round < 200; round += 1) {
        for (const worker of [one, other]) {
          worker.store.setSubscribers('busy', round % 3, { tellsCount: false });
          worker.store.setSubscribers('left', round % 2, { tellsCount: false });
        }
        if (round % 20 === 0) await one.store.counts(['busy']);
      }
      one.store.setSubscribers('left', 0, { tellsCount: false });
      other.store.setSubscribers('left', 0, { tellsCount: false });
      one.store.setSubscribers('busy', 5, { tellsCount: false });
      await eventually(async () => {
        expect(await other.store.counts(['busy', 'left'])).toEqual([
          { subscribers: 6, members: 0 },
          { subscribers: 0, members: 0 },
        ]);
      });
      expect(await other.store.occupiedChannels('', 10)).toEqual(['busy']);
    });
  });

  describe('a worker that ends', () => {
    it('in good order takes with it what it has', async () => {
      const [one, other] = await startTwo();
      await other.subscribe('room');
      await one.join('room', 'ada');
      await other.join('room', 'bob');
      one.store.setSubscribers('room', 3, { tellsCount: false });
      await eventually(async () =>
        expect(await other.store.counts(['room'])).toMatchObject([{ subscribers: 3 }]),
      );
      running.delete(one.broker);
      await contract.end(one.broker);
      await eventually(async () => expect(await other.users('room')).toEqual(['bob']));
      await eventually(async () =>
        expect(await other.store.counts(['room'])).toMatchObject([{ subscribers: 0 }]),
      );
      await settle(other);
      expect(other.changes('room')).toEqual(['+ada', '+bob', '-ada']);
      await expect(one.join('room', 'ada')).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    });

    it('without a word takes with it what it has: each leave is told once, and nobody else leaves', async () => {
      const workers = [await start(), await start(), await start()] as const;
      const [one, dead, last] = workers;
      await one.subscribe('room');
      const users = Array.from({ length: 300 }, (_, index) => `user ${index}`);
      const maxMembers = 1_000;
      await Promise.all(users.map((user) => dead.join('room', user, { maxMembers })));
      await Promise.all(users.slice(0, 100).map((user) => last.join('room', user, { maxMembers })));
      dead.store.setSubscribers('room', 300, { tellsCount: true });
      dead.store.setSubscribers('only', 1, { tellsCount: false });
      last.store.setSubscribers('room', 100, { tellsCount: true });
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 400 }]),
      );
      await kill(dead);
      await eventually(async () => expect((await one.read('room')).memberCount).toBe(100));
      await eventually(async () =>
        expect(await one.store.counts(['room'])).toMatchObject([{ subscribers: 100 }]),
      );
      await eventually(async () => expect(await last.store.occupiedChannels('', 10)).toEqual(['room']));
      await settle(one);
      expect(await one.users('room')).toEqual(users.slice(0, 100).toSorted());
      const changes = one.changes('room');
      expect(changes.filter((change) => change.startsWith('+')).toSorted()).toEqual(
        users.map((user) => `+${user}`).toSorted(),
      );
      expect(changes.filter((change) => change.startsWith('-')).toSorted()).toEqual(
        users
          .slice(100)
          .map((user) => `-${user}`)
          .toSorted(),
      );
      expect(changes).toContain('=100');
    });
  });

  describe('any order of joins and leaves, in several workers', () => {
    it.each([1, 2, 3])('tells each change once, in the order of its version (seed %i)', async (seed) => {
      const random = seededRandom(seed);
      const workers = [await start(), await start(), await start()] as const;
      const watcher = await start();
      const channels = ['one', 'two'];
      for (const channel of channels) await watcher.subscribe(channel);
      const users = Array.from({ length: 6 }, (_, index) => `user ${index}`);
      /** What each worker wants to be true. */
      const wanted = workers.map(() => new Map(channels.map((channel) => [channel, new Set<string>()])));
      const joins: Promise<unknown>[] = [];
      for (let step = 0; step < 1_500; step += 1) {
        const index = random(workers.length);
        const worker = workers[index === 0 ? 0 : index === 1 ? 1 : 2];
        const channel = channels[random(channels.length)] ?? '';
        const user = users[random(users.length)] ?? '';
        const here = wanted[index]?.get(channel);
        if (random(2) === 0) {
          here?.add(user);
          // Left in the meantime, it may be told so.
          joins.push(worker.join(channel, user).catch(() => {}));
        } else {
          here?.delete(user);
          worker.store.leave(channel, user);
        }
        if (random(40) === 0) await Promise.all(joins.splice(0));
      }
      await Promise.all(joins);
      for (const channel of channels) {
        const expected = users.filter((user) => wanted.some((each) => each.get(channel)?.has(user)));
        await eventually(async () => expect(await watcher.users(channel)).toEqual(expected));
        await settle(watcher);
        const told = watcher.envelopes(channel);
        const versions = told.map(({ version }) => version);
        expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
        const present = new Set<string>();
        for (const { kind, user = '' } of told) {
          expect([kind, present.has(user)]).toEqual([kind, kind === 'leave']);
          if (kind === 'join') present.add(user);
          else present.delete(user);
        }
        expect([...present].toSorted()).toEqual(expected);
        expect(told.length).toBeGreaterThan(50);
      }
    });

    it('lets a snapshot and the changes above its version make up who is there', async () => {
      const [one, watcher] = await startTwo();
      await watcher.subscribe('room');
      const joins: Promise<unknown>[] = [];
      for (let index = 0; index < 200; index += 1) {
        // Who leaves before the join could be sent is told so.
        joins.push(one.join('room', `user ${index}`, { maxMembers: 1_000 }).catch(() => {}));
        if (index >= 50) one.store.leave('room', `user ${index - 50}`);
        if (index !== 100) continue;
        const { snapshot } = await watcher.join('room', 'watcher', { maxMembers: 1_000 });
        const present = new Set(snapshot.members.map(({ user }) => user));
        joins.push(
          eventually(async () => {
            const now = new Set(present);
            for (const { kind, user = '', version } of watcher.envelopes('room')) {
              if (version <= snapshot.version) continue;
              expect([kind, now.has(user)]).toEqual([kind, kind === 'leave']);
              if (kind === 'join') now.add(user);
              else now.delete(user);
            }
            expect([...now].toSorted()).toEqual(await watcher.users('room'));
            expect(now.size).toBe(51);
          }),
        );
      }
      await Promise.all(joins);
    });
  });

  describe('recorded events', () => {
    const ALL: ChannelStoreOptions = {
      recorded: [
        'channel_occupied',
        'channel_vacated',
        'member_added',
        'member_removed',
        'subscription_count',
        'cache_miss',
        'client_event',
      ],
    };

    it('are one for each transition, in their order, with their time', async () => {
      const [one, other] = await startTwo(ALL);
      const events = consume();
      const before = Date.now();
      one.store.setSubscribers('room', 1, { tellsCount: false });
      await one.join('room', 'ada');
      other.store.setSubscribers('room', 2, { tellsCount: false });
      await other.join('room', 'ada');
      await one.store.addEvent({
        type: 'client_event',
        channel: 'room',
        event: 'client-typing',
        data: '{"ü":"\\n"}',
        connection: '1.2',
        user: 'ada',
      });
      one.store.leave('room', 'ada');
      one.store.setSubscribers('room', 0, { tellsCount: false });
      await eventually(async () =>
        expect(await other.store.counts(['room'])).toMatchObject([{ subscribers: 2 }]),
      );
      other.store.leave('room', 'ada');
      await eventually(async () => expect(await other.users('room')).toEqual([]));
      other.store.setSubscribers('room', 0, { tellsCount: false });
      const taken = await take(events, 5);
      expect(taken.map(withoutPlace)).toEqual([
        { type: 'channel_occupied', channel: 'room' },
        { type: 'member_added', channel: 'room', user: 'ada' },
        {
          type: 'client_event',
          channel: 'room',
          event: 'client-typing',
          data: '{"ü":"\\n"}',
          connection: '1.2',
          user: 'ada',
        },
        { type: 'member_removed', channel: 'room', user: 'ada' },
        { type: 'channel_vacated', channel: 'room' },
      ]);
      expect(new Set(taken.map(({ id }) => id)).size).toBe(5);
      for (const { timeMs } of taken) {
        expect(timeMs).toBeGreaterThanOrEqual(before);
        expect(timeMs).toBeLessThanOrEqual(Date.now());
      }
    });

    it('are of the kinds that were asked for', async () => {
      const worker = await start({ recorded: ['member_added', 'channel_vacated'] });
      const events = consume();
      worker.store.setSubscribers('room', 1, { tellsCount: true });
      await worker.join('room', 'ada');
      await worker.store.addEvent({ type: 'cache_miss', channel: 'room' });
      worker.store.leave('room', 'ada');
      worker.store.setSubscribers('room', 0, { tellsCount: true });
      expect((await take(events, 2)).map(withoutPlace)).toEqual([
        { type: 'member_added', channel: 'room', user: 'ada' },
        { type: 'channel_vacated', channel: 'room' },
      ]);
    });

    it('tell of counts where these are told to subscribers', async () => {
      const [one, other] = await startTwo(ALL);
      const events = consume();
      one.store.setSubscribers('news', 2, { tellsCount: true });
      await take(events, 2);
      other.store.setSubscribers('news', 3, { tellsCount: true });
      expect((await take(events, 1)).map(withoutPlace)).toEqual([
        { type: 'subscription_count', channel: 'news', count: 5 },
      ]);
    });

    it('tell of a cache that has nothing once, until it has had something', async () => {
      const [one, other] = await startTwo(ALL);
      const events = consume();
      const miss = { type: 'cache_miss', channel: 'cache' } as const;
      await one.store.addEvent(miss);
      await other.store.addEvent(miss);
      await other.store.addEvent({ ...miss, channel: 'other' });
      await one.store.publishLast('cache', Buffer.from('x'), {}, 60_000);
      await other.store.addEvent(miss);
      await one.store.addEvent(miss);
      expect((await take(events, 3)).map(withoutPlace)).toEqual([miss, { ...miss, channel: 'other' }, miss]);
    });

    it('tell of what a worker takes with it', async () => {
      const [one, dead] = await startTwo(ALL);
      const events = consume();
      dead.store.setSubscribers('room', 1, { tellsCount: false });
      await dead.join('room', 'ada');
      await one.users('room');
      await take(events, 2);
      await kill(dead);
      const left = await take(events, 2);
      expect(left.map(({ type }) => type).toSorted()).toEqual(['channel_vacated', 'member_removed']);
    });

    it('go to one of several consumers, and when that stops to the next, from what was not done on', async () => {
      const worker = await start(ALL);
      const one = consume();
      const add = (event: number): Promise<void> =>
        worker.store.addEvent({ type: 'client_event', channel: 'room', event: String(event) });
      for (let event = 0; event < 10; event += 1) await add(event);
      const first = await one.take(10);
      expect(first.map(({ event }) => Number(event))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      const other = consume();
      const others = take(other, 8);
      for (let event = 10; event < 15; event += 1) await add(event);
      const second = await take(one, 3);
      one.done([...first.slice(0, 5), ...second]);
      for (let left = second.length; left < 5; left += (await take(one, 1)).length);
      for (let event = 15; event < 18; event += 1) await add(event);
      await one.stop();
      expect(await one.take(5)).toEqual([]);
      expect((await others).map(({ event }) => Number(event))).toEqual([5, 6, 7, 8, 9, 15, 16, 17]);
    });

    it('are waited for, by as many as ask', async () => {
      const worker = await start(ALL);
      const events = consume();
      const waiting = [events.take(1), events.take(1)];
      for (const event of ['a', 'b']) {
        await worker.store.addEvent({ type: 'client_event', channel: 'room', event });
      }
      const taken = (await Promise.all(waiting)).flat();
      expect(taken.map(({ event }) => event)).toEqual(['a', 'b']);
      const last = events.take(1);
      await events.stop();
      expect(await last).toEqual([]);
    });

    it('are bounded: the oldest are thrown away, and counted', async () => {
      const worker = await start({ ...ALL, maxEvents: 10 });
      for (let index = 0; index < 25; index += 1) {
        await worker.store.addEvent({ type: 'client_event', channel: 'room', event: String(index) });
      }
      const events = consume();
      const taken = await take(events, 10);
      expect(taken.map(({ event }) => Number(event))).toEqual(
        Array.from({ length: 10 }, (_, index) => index + 15),
      );
    });
  });
}

/** Takes until there are as many, and says that they are done. */
async function take(events: ChannelEvents, count: number): Promise<RecordedEvent[]> {
  const taken: RecordedEvent[] = [];
  while (taken.length < count) {
    const some = await events.take(100);
    expect(some.length).toBeGreaterThan(0);
    taken.push(...some);
    events.done(some);
  }
  return taken;
}

function withoutPlace({ id: _id, timeMs: _timeMs, ...event }: RecordedEvent): object {
  return event;
}

/** In the order of their bytes. */
function ordered(names: readonly string[]): string[] {
  return names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
