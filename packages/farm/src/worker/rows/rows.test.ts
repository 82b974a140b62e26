import { setImmediate as immediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { ANY_CONNECTION } from '../fixtures/row-rig.ts';
import { ConnectionTable, RowFlag, RowState } from './connection-table.ts';
import { Rows, type EndedRow } from './rows.ts';

const { open, sendable, opened } = RowFlag;

/** What happens to the row, in order. */
let events: string[];
let table: ConnectionTable;
let counters: Counters;
let rows: Rows;
let slot: number;
/** What the close hook is to be given; undefined without a close hook. */
let ended: EndedRow | undefined;

beforeEach(() => {
  events = [];
  table = new ConnectionTable(4);
  counters = new Counters();
  rows = new Rows(table, counters);
  const owner = (name: string): { release: (slot: number) => void } => ({
    release: (of) => void events.push(`${name} releases ${of}, ${isUsed(of)}`),
  });
  rows.connect([owner('first'), owner('second'), owner('socket')], {
    rowOnEnding(of) {
      events.push(`ending ${of}, ${isUsed(of)}`);
      return ended;
    },
    rowOnEnd({ app, connection }, code, reason) {
      events.push(`hook of app ${app}: ${connection.id} ${code} ${reason}, ${isUsed(slot)}`);
    },
  });
  table.allocate(20, 1, new Uint8Array(16), 0);
  slot = table.allocate(21, 2, new Uint8Array(16), 0);
  table.setFlag(slot, open | sendable | opened);
  rows.enter(slot, RowState.open);
  ended = { app: 3, connection: ANY_CONNECTION };
});

function isUsed(of: number): string {
  return table.state(of) === RowState.free ? 'free' : 'used';
}

describe('the end of a row', () => {
  it('is prepared while all is there; then its owners release in their order, and its close hook is called', () => {
    rows.end(slot, 1000, 'bye');
    expect(events).toEqual([
      'ending 1, used',
      'first releases 1, used',
      'second releases 1, used',
      'socket releases 1, used',
      'hook of app 3: any 1000 bye, free',
    ]);
    expect(table.used).toBe(1);
  });

  it('happens once: a second one changes nothing and calls nobody', () => {
    rows.end(slot, 1000, '');
    events = [];
    rows.end(slot, 1006, '');
    rows.endDuringSend(slot, 1006, '');
    expect(events).toEqual([]);
    expect(table.used).toBe(1);
    expect([counters.get('closed'), counters.get('closed_abnormally')]).toEqual([1, 0]);
  });

  it('that its close hook asks for again happens once as well', () => {
    rows.connect([], {
      rowOnEnding: () => ended,
      rowOnEnd(_row, code) {
        events.push(`hook ${code}`);
        rows.end(slot, 1006, '');
      },
    });
    rows.end(slot, 1000, '');
    expect(events).toEqual(['hook 1000']);
    expect(counters.get('closed')).toBe(1);
  });

  it.each([
    [1000, 0],
    [1005, 0],
    [4000, 0],
    [1006, 1],
  ])('with %i is counted as closed, and %i times as abnormal', (code, abnormal) => {
    rows.end(slot, code, '');
    expect([counters.get('closed'), counters.get('closed_abnormally')]).toEqual([1, abnormal]);
  });

  it('is counted without a close hook, too', () => {
    ended = undefined;
    rows.end(slot, 1006, '');
    expect(events.at(-1)).toBe('socket releases 1, used');
    expect([counters.get('closed'), counters.get('closed_abnormally')]).toEqual([1, 1]);
  });

  it('that was never opened is released, and neither counted nor told', () => {
    table.clearFlag(slot, opened);
    rows.end(slot, 1006, '');
    expect(events).toEqual(['first releases 1, used', 'second releases 1, used', 'socket releases 1, used']);
    expect(table.used).toBe(1);
    expect([counters.get('closed'), counters.get('closed_abnormally')]).toEqual([0, 0]);
  });

  it('during a send releases at once, and calls the close hook later', async () => {
    rows.endDuringSend(slot, 1006, 'no room');
    expect(events).toHaveLength(4);
    expect([isUsed(slot), counters.get('closed_abnormally')]).toEqual(['free', 1]);
    await immediate();
    expect(events.slice(4)).toEqual(['hook of app 3: any 1006 no room, free']);
  });

  it('during a send of a row that has no close hook calls nobody', async () => {
    ended = undefined;
    rows.endDuringSend(slot, 1006, '');
    await immediate();
    expect(events).toHaveLength(4);
  });
});

describe('a row', () => {
  it.each([
    ['closing', RowState.closing],
    ['refusing', RowState.refusing],
  ])('that enters %s is sent no messages any more', (_name, state) => {
    rows.enter(slot, state);
    expect(table.state(slot)).toBe(state);
    expect(table.hasFlag(slot, open)).toBe(false);
    expect(table.hasFlag(slot, sendable)).toBe(false);
    expect(table.hasFlag(slot, opened)).toBe(true);
  });

  it('that wakes or goes back to sleep is sent messages as before', () => {
    for (const state of [RowState.awake, RowState.open]) {
      rows.enter(slot, state);
      expect(table.state(slot)).toBe(state);
      expect(table.flags[slot]).toBe(open | sendable | opened);
    }
  });

  it('may be sent no messages in whatever state it is', () => {
    rows.stopMessages(slot);
    expect(table.state(slot)).toBe(RowState.open);
    expect(table.flags[slot]).toBe(opened);
  });
});
