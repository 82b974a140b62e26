import { Arena, type Publication } from '@roost/broker';
import { seededRandom, testSeed } from '@roost/testing';
import type { BroadcastWalk } from '@roost/poller';
import { MessageDeflater } from '@roost/websocket';
import { describe, expect, it, vi } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { resolveOptions } from '../../options/options.ts';
import { ConnectionIds } from '../rows/connection-ids.ts';
import { ConnectionTable, RowFlag, RowState } from '../rows/connection-table.ts';
import { Lanes } from '../app/lanes.ts';
import { Broadcaster, type BroadcasterParts } from './broadcaster.ts';
import { Hub } from './hub.ts';

const ROWS = 12;
const CHANNELS = ['a', 'b'];
const NEVER = (): void => undefined;

/** A broadcaster whose walks end wherever the seed says, with rows that note what they are sent. */
function rigOf(random: (below: number) => number) {
  const table = new ConnectionTable(ROWS);
  const hub = new Hub(table.firstSubscriptions, new Arena());
  const got: string[][] = [];
  for (let slot = 0; slot < ROWS; slot++) {
    table.allocate(slot + 10, slot + 1, new Uint8Array(18), 0);
    table.states[slot] = RowState.open;
    table.setFlag(slot, RowFlag.open | RowFlag.sendable);
    got.push([]);
  }
  const send = (slot: number, frame: Buffer): void => void got[slot]?.push(frame.toString('utf8', 2));
  const sockets = {
    broadcast(walk: BroadcastWalk): number {
      walk.begin();
      let at = walk.from;
      // At least one place, or nothing would ever end.
      for (let left = 1 + random(4); at < walk.to && left > 0; left--, at++) {
        const slot = walk.members[at] ?? -1;
        if (slot >= 0) send(slot, walk.formFor(0));
      }
      return at;
    },
  };
  const outbound = {
    sendChunk: (slot: number, frame: Buffer): boolean => {
      send(slot, frame);
      return true;
    },
    applyVerdicts: NEVER,
    enqueueBroadcast: (): boolean => false,
  };
  const parts = {
    config: { ...resolveOptions({ app: '/none' }, 1, 'test'), broadcastSliceMs: 0.001 },
    table,
    hub,
    counters: new Counters(),
    log: { debug: NEVER, info: NEVER, warn: NEVER, error: NEVER, fatal: NEVER },
    ids: new ConnectionIds({ tag: 1, key: [1, 2] }),
    lanes: new Lanes(NEVER),
    sockets,
    outbound,
    deflater: new MessageDeflater({ level: 1 }),
    broker: { setReading: NEVER },
    subscriptions: { markGapOf: NEVER },
    lease: { connect: NEVER, take: () => true, giveBack: NEVER },
    knowledge: { served: NEVER },
    resyncs: { missed: NEVER },
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the broadcaster uses of its parts
  const broadcaster = new Broadcaster(parts as unknown as BroadcasterParts);
  return { hub, broadcaster, got };
}

function publication(channel: string, text: string): Publication {
  return { channel, payload: Buffer.from(text), kind: 'publication', version: 0 };
}

/** Those of a channel, in order: what is promised of order is that of each channel. */
function of(texts: readonly string[] | undefined, channel: string): string[] {
  return (texts ?? []).filter((text) => text.startsWith(channel));
}

/**
 * Rows come and go as moving ones do, between the steps of the fan-out. A row that leaves is owed what was published while it
 * was there, at once; one that comes is owed what is published from then on; nobody is owed anything twice.
 */
function interleave(seed: number): void {
  const random = seededRandom(seed);
  const { hub, broadcaster, got } = rigOf(random);
  const owed: string[][] = got.map(() => []);
  const members = new Map(CHANNELS.map((channel) => [channel, new Set<number>()]));
  let number = 0;
  for (let step = 0; step < 400; step++) {
    const slot = random(ROWS);
    const channel = CHANNELS[random(CHANNELS.length)] ?? 'a';
    const choice = random(100);
    if (choice < 35) {
      const text = `${channel} ${++number}`;
      broadcaster.publish(publication(channel, text));
      for (const member of members.get(channel) ?? []) owed[member]?.push(text);
    } else if (choice < 55) {
      // Arrives.
      for (const name of CHANNELS) broadcaster.rows.seal(name);
      for (const name of CHANNELS) if (hub.subscribe(slot, name)) members.get(name)?.add(slot);
    } else if (choice < 70) {
      // Leaves.
      broadcaster.rows.deliverNow([slot]);
      hub.unsubscribeAll(slot);
      for (const name of CHANNELS) {
        members.get(name)?.delete(slot);
        expect(of(got[slot], name), `row ${slot} has all that it is owed`).toEqual(of(owed[slot], name));
      }
    } else {
      vi.advanceTimersToNextTimer();
    }
  }
  vi.runAllTimers();
  for (let slot = 0; slot < ROWS; slot++) {
    for (const name of CHANNELS) expect(of(got[slot], name), `row ${slot}`).toEqual(of(owed[slot], name));
  }
}

describe('rows that come and go while publications are under way', () => {
  it.each(Array.from({ length: 40 }, (_, index) => testSeed(index + 1)))(
    'get each once, in order (seed %d)',
    (seed) => {
      vi.useFakeTimers({ toFake: ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout'] });
      try {
        interleave(seed);
      } finally {
        vi.useRealTimers();
      }
    },
  );
});
