import type { RecordedEvent } from '@roost/farm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Absences } from './absences.ts';

let absences: Absences;
let told: string[];
let returned: string[];
let startedAt: number;

function name({ type, channel, user }: RecordedEvent): string {
  return [type, channel, user].filter((part) => part !== undefined).join(' ');
}

function start(maxHeld: number): void {
  absences = new Absences(
    { lingerMs: 3000, maxHeld },
    {
      absencesOnEvent: (event) => told.push(name(event)),
      absencesOnReturn: (departure, arrival) => returned.push(`${name(departure)}, ${name(arrival)}`),
    },
  );
}

function add(type: RecordedEvent['type'], channel: string, user?: string): void {
  const timeMs = performance.now() - startedAt;
  absences.add({ id: '1-0', timeMs, type, channel, ...(user === undefined ? {} : { user }) });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  startedAt = performance.now();
  told = [];
  returned = [];
  start(100);
});
afterEach(() => {
  absences.stop();
  vi.useRealTimers();
});

describe('absences', () => {
  it('tell who has gone only when nobody has come back for so long', () => {
    add('member_removed', 'presence-a', 'u1');
    vi.advanceTimersByTime(1000);
    add('channel_vacated', 'presence-a');
    vi.advanceTimersByTime(1999);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['member_removed presence-a u1']);
    vi.advanceTimersByTime(1000);
    expect(told).toEqual(['member_removed presence-a u1', 'channel_vacated presence-a']);
    expect(absences.heldCount).toBe(0);
  });

  it('tell nothing of who has come back, and tell the rest', () => {
    add('member_removed', 'presence-a', 'u1');
    add('member_removed', 'presence-a', 'u2');
    add('channel_vacated', 'presence-a');
    vi.advanceTimersByTime(2900);
    add('channel_occupied', 'presence-a');
    add('member_added', 'presence-a', 'u1');
    add('member_added', 'presence-b', 'u2');
    vi.advanceTimersByTime(10_000);
    expect(told).toEqual(['member_added presence-b u2', 'member_removed presence-a u2']);
    expect(returned).toEqual([
      'channel_vacated presence-a, channel_occupied presence-a',
      'member_removed presence-a u1, member_added presence-a u1',
    ]);
  });

  it('tell of both, in their order, when an arrival comes later by the clock of the events', () => {
    absences.add({ id: '1-0', timeMs: 0, type: 'channel_vacated', channel: 'a' });
    absences.add({ id: '2-0', timeMs: 3001, type: 'channel_occupied', channel: 'a' });
    expect(told).toEqual(['channel_vacated a', 'channel_occupied a']);
  });

  it('hold the next departure of who has come back for the whole time', () => {
    add('channel_vacated', 'a');
    vi.advanceTimersByTime(2000);
    add('channel_occupied', 'a');
    add('channel_vacated', 'a');
    vi.advanceTimersByTime(2999);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['channel_vacated a']);
  });

  it('let everything else pass at once', () => {
    add('channel_vacated', 'a');
    add('cache_miss', 'a');
    add('client_event', 'a');
    expect(told).toEqual(['cache_miss a', 'client_event a']);
  });

  it('tell the oldest early when as many are held back as may be', () => {
    absences.stop();
    start(2);
    for (const channel of ['a', 'b', 'c']) add('channel_vacated', channel);
    expect(told).toEqual(['channel_vacated a']);
    expect(absences.heldCount).toBe(2);
  });

  it('tell of two departures in a row at the second, since what was between them is lost', () => {
    add('channel_vacated', 'a');
    add('channel_vacated', 'a');
    expect(told).toEqual(['channel_vacated a']);
    expect(absences.heldCount).toBe(1);
  });

  it('tell all that they hold when they are released, and hold nothing any more', () => {
    for (const channel of ['a', 'b']) add('channel_vacated', channel);
    absences.release();
    add('channel_vacated', 'c');
    expect(told).toEqual(['channel_vacated a', 'channel_vacated b', 'channel_vacated c']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
