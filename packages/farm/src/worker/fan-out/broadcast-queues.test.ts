import { Arena, encodeEnvelope, parseEnvelope, type Publication } from '@roost/broker';
import { liveBytes, seededRandom } from '@roost/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { BROADCAST_OVERHEAD_BYTES, BroadcastQueues, type ChannelQueue } from './broadcast-queues.ts';
import type { HubChannel } from './hub-channel.ts';
import { Hub } from './hub.ts';

const KIB = 1024;
const NOTHING_KNOWN = { version: 0, members: [], memberCount: 0, lastEvent: undefined };

let hub: Hub;
let queues: BroadcastQueues;
/** The channels' queues, while they have one. */
let waiting: Map<HubChannel, ChannelQueue>;
/** Publications dropped, by the name of their channel. */
let dropped: Map<string, number>;

function use(maxBytes: number): void {
  hub = new Hub(new Int32Array(64), new Arena());
  waiting = new Map();
  dropped = new Map();
  queues = new BroadcastQueues(maxBytes, ({ name }, count) => {
    dropped.set(name, (dropped.get(name) ?? 0) + count);
  });
}

beforeEach(() => use(1024 * KIB));

function channelOf(name: string): HubChannel {
  hub.subscribe(0, name);
  const channel = hub.open(name);
  if (channel === undefined) expect.unreachable();
  hub.retain(channel);
  return channel;
}

/** False: it was dropped. */
function publish(channel: HubChannel, payloadBytes: number, attributes: Partial<Publication> = {}): boolean {
  const publication = publicationOf(channel, payloadBytes, attributes);
  if (!queues.admit(channel, publication)) return false;
  const added = queues.push(channel, publication, 0);
  if (added !== undefined) waiting.set(channel, added);
  return true;
}

/** As brokers make them, with memory of its own. */
function publicationOf(
  { name }: HubChannel,
  payloadBytes: number,
  attributes: Partial<Publication> = {},
): Publication {
  const payload = Buffer.allocUnsafeSlow(payloadBytes);
  return { channel: name, payload, kind: 'publication', version: 0, ...attributes };
}

/** The oldest publication of a channel has been sent. */
function sent(channel: HubChannel): void {
  const queue = waiting.get(channel);
  if (queue !== undefined && !queues.shift(queue)) waiting.delete(channel);
}

function flood(channel: HubChannel, payloadBytes: number): void {
  while (publish(channel, payloadBytes)) continue;
}

describe('publications that wait for their fan-out', () => {
  it('take no more memory than the bound, however small they are', () => {
    const maxBytes = 32 * 1024 * KIB;
    use(maxBytes);
    const channel = channelOf('flooded');
    const before = liveBytes();
    const refused = publicationOf(channel, 1);
    for (let count = 0; count < 3_000_000; count++) {
      if (queues.admit(channel, refused)) publish(channel, 1);
    }
    expect(liveBytes() - before).toBeLessThan(maxBytes);
    const { length } = waiting.get(channel)!.broadcasts;
    expect(length).toBe(Math.floor(maxBytes / (1 + BROADCAST_OVERHEAD_BYTES)));
    expect(dropped).toEqual(new Map([['flooded', 3_000_000 - length]]));
  });

  it('take no more with attributes and an envelope', () => {
    const maxBytes = 32 * 1024 * KIB;
    use(maxBytes);
    const channel = channelOf('flooded');
    const before = liveBytes();
    const text = 'ü'.repeat(100);
    while (dropped.size === 0) {
      const received = encodeEnvelope(Buffer.from('x'), { event: text, except: text, user: text });
      const envelope = parseEnvelope(received);
      if (envelope === undefined) expect.unreachable();
      publish(channel, 0, envelope);
    }
    expect(liveBytes() - before).toBeLessThan(maxBytes);
    const { length } = waiting.get(channel)!.broadcasts;
    expect(length).toBeGreaterThan(16_000);
  });

  it('count with their frames, in place of the payload, once they have them', () => {
    const channel = channelOf('news');
    publish(channel, 1000);
    publish(channel, 1);
    const queue = waiting.get(channel)!;
    const frame = Buffer.alloc(1004);
    queues.framed(queue, [frame, frame, Buffer.alloc(0), Buffer.alloc(500)]);
    expect(queues.bytes).toBe(1504 + 1 + 2 * BROADCAST_OVERHEAD_BYTES);
    expect(queue.broadcasts.first).toMatchObject({
      publication: undefined,
      cost: 1504 + BROADCAST_OVERHEAD_BYTES,
    });
    sent(channel);
    expect(queues.bytes).toBe(1 + BROADCAST_OVERHEAD_BYTES);
    queues.framed(queue, []);
    expect(queues.bytes).toBe(BROADCAST_OVERHEAD_BYTES);
    sent(channel);
    expect(queues.bytes).toBe(0);
  });

  it('let pass what must come before all that is not yet served, and count it', () => {
    const channel = channelOf('news');
    const resync = { kind: 'resync', channel: 'news', snapshot: NOTHING_KNOWN } as const;
    const added = queues.pushNext(channel, resync);
    if (added === undefined) expect.unreachable();
    waiting.set(channel, added);
    publish(channel, 1);
    expect(queues.bytes).toBe(1 + 2 * BROADCAST_OVERHEAD_BYTES);
    // The first is being served; then it is not.
    queues.framed(added, []);
    expect(
      queues.pushNext(channel, { ...resync, snapshot: { ...NOTHING_KNOWN, version: 2 } }),
    ).toBeUndefined();
    sent(channel);
    expect(
      queues.pushNext(channel, { ...resync, snapshot: { ...NOTHING_KNOWN, version: 3 } }),
    ).toBeUndefined();
    const order: unknown[] = [];
    for (let { first: next } = added.broadcasts; next !== undefined; next = added.broadcasts.first) {
      order.push(
        next.publication?.kind === 'resync' ? next.publication.snapshot.version : next.publication?.kind,
      );
      sent(channel);
    }
    expect(order).toEqual([3, 2, 'publication']);
    expect(queues.bytes).toBe(0);
    flood(channel, 100);
    expect(queues.bytes).toBeGreaterThan(1000 * KIB);
  });

  it('may be larger than the bound when they are alone', () => {
    const channel = channelOf('large');
    expect(publish(channel, 2048 * KIB)).toBe(true);
    expect(publish(channel, 1)).toBe(false);
    sent(channel);
    expect(queues.bytes).toBe(0);
    expect(publish(channel, 1)).toBe(true);
  });

  it('are dropped where one channel floods, and of no other channel', () => {
    const [flooded, quiet] = [channelOf('flooded'), channelOf('quiet')];
    flood(flooded, 100);
    for (let round = 0; round < 10_000; round++) {
      publish(flooded, 100);
      if (round % 10 === 0) expect(publish(quiet, 400)).toBe(true);
      if (round % 20 === 0) sent(quiet);
      sent(flooded);
    }
    expect([...dropped.keys()]).toEqual(['flooded']);
    expect(queues.bytes).toBeLessThanOrEqual(1024 * KIB);
  });

  it('share the bound by channel when all flood', () => {
    const channels = Array.from({ length: 8 }, (_, index) => channelOf(`${index}`));
    for (const channel of channels) flood(channel, 100);
    for (const channel of channels) {
      const { bytes } = waiting.get(channel)!;
      expect(bytes / ((1024 * KIB) / 8)).toBeGreaterThan(0.85);
      expect(bytes / ((1024 * KIB) / 8)).toBeLessThan(1.25);
    }
  });

  it('keep their order, and the first of each queue, of which a part may have been sent', () => {
    const [flooded, quiet] = [channelOf('flooded'), channelOf('quiet')];
    flood(flooded, 1000);
    const queue = waiting.get(flooded)!;
    const { first } = queue.broadcasts;
    while (waiting.get(quiet)?.bytes !== undefined ? dropped.get('quiet') === undefined : true)
      publish(quiet, 900);
    expect(queue.broadcasts.first).toBe(first);
    expect(queue.broadcasts.length).toBeGreaterThan(1);
  });

  it('are refused when there is only one of each channel, without a look at all channels', () => {
    use(64 * KIB);
    const channels = Array.from({ length: 64 }, (_, index) => channelOf(`${index}`));
    for (const channel of channels) publish(channel, 700);
    expect(dropped.size).toBeGreaterThan(0);
    for (const [name, count] of dropped) expect([name, count]).toEqual([name, 1]);
    expect(queues.bytes).toBeLessThanOrEqual(64 * KIB);
  });

  it('are counted exactly in any order of events', () => {
    const random = seededRandom(11);
    use(64 * KIB);
    const channels = Array.from({ length: 12 }, (_, index) => channelOf(`${index}`));
    for (let step = 0; step < 10_000; step++) {
      const channel = channels[random(random(2) === 0 ? 2 : channels.length)];
      if (channel === undefined) expect.unreachable();
      const served = waiting.get(channel);
      if (random(3) > 0)
        publish(channel, random(3000), random(2) === 0 ? {} : { user: 'u'.repeat(random(99)) });
      else if (served === undefined || served.broadcasts.first?.publication === undefined) sent(channel);
      else queues.framed(served, [Buffer.alloc(random(3000))]);
      let sum = 0;
      for (const queue of waiting.values()) sum += queue.bytes;
      // Frames may be larger than what they are made of, by a little.
      if (queues.bytes !== sum || sum > 64 * KIB + channels.length * 3000)
        expect.unreachable(`step ${step}: ${queues.bytes}, not ${sum}`);
    }
    for (const channel of channels) while (waiting.has(channel)) sent(channel);
    expect(queues.bytes).toBe(0);
    flood(channelOf('0'), 100);
    expect(queues.bytes).toBeGreaterThan(63 * KIB);
  });

  it('are uneven when one channel has more than its share', () => {
    const [one, other] = [channelOf('one'), channelOf('other')];
    for (let count = 0; count < 6; count++) publish(one, 100 * KIB);
    expect(queues.isUneven).toBe(true);
    for (let count = 0; count < 2; count++) sent(one);
    for (let count = 0; count < 4; count++) publish(other, 100 * KIB);
    expect(queues.isUneven).toBe(false);
  });
});
