import { seededRandom } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ConnectionTable, RowFlag, RowState } from './connection-table.ts';

const LOCALHOST = Buffer.from('00000000000000000000ffff7f000001', 'hex');

function tableOf(capacity: number): ConnectionTable {
  return new ConnectionTable(capacity);
}

function allocate(table: ConnectionTable, number = 1): number {
  return table.allocate(7, number, LOCALHOST, 0);
}

describe('a slot', () => {
  it('is given out in state handshake, with what the master told', () => {
    const table = tableOf(4);
    const slot = table.allocate(42, 2 ** 40 + 1, LOCALHOST, 0);
    expect(slot).toBe(0);
    expect(table.state(slot)).toBe(RowState.handshake);
    expect(table.fds[slot]).toBe(42);
    expect(table.numbers[slot]).toBe(2 ** 40 + 1);
    expect(table.address(slot)).toBe('127.0.0.1');
    expect(table.used).toBe(1);
    expect(table.highWater).toBe(1);
  });

  it('is -1 when the table is full', () => {
    const table = tableOf(2);
    expect([allocate(table), allocate(table), allocate(table)]).toEqual([0, 1, -1]);
  });

  it('that is freed is not given out again in the same batch', () => {
    const table = tableOf(2);
    allocate(table);
    allocate(table);
    table.release(0);
    expect(allocate(table)).toBe(-1);
    table.settle();
    expect(allocate(table)).toBe(0);
  });

  it('that was freed before is given out, and those freed meanwhile wait', () => {
    const table = tableOf(4);
    for (let count = 0; count < 4; count++) allocate(table);
    table.release(0);
    table.release(1);
    table.settle();
    table.release(2);
    const given = [allocate(table), allocate(table), allocate(table)];
    expect(given.toSorted((one, other) => one - other)).toEqual([-1, 0, 1]);
    table.settle();
    expect(allocate(table)).toBe(2);
    expect(allocate(table)).toBe(-1);
  });

  it('comes back as if it were new', () => {
    const table = tableOf(1);
    allocate(table);
    table.setFlag(0, RowFlag.opened | RowFlag.queued);
    table.apps[0] = 3;
    table.firstSubscriptions[0] = 9;
    table.transports[0] = 1;
    table.release(0);
    expect(table.fds[0]).toBe(-1);
    table.settle();
    expect(allocate(table, 2)).toBe(0);
    expect([table.flags[0], table.apps[0], table.firstSubscriptions[0], table.transports[0]]).toEqual([
      0, 0, 0, 0,
    ]);
    expect(table.used).toBe(1);
    expect(table.highWater).toBe(1);
  });

  it('is never given to two, whatever the order of releases and settles', () => {
    const table = tableOf(16);
    const owned = new Set<number>();
    const random = seededRandom(12_345);
    for (let step = 0; step < 20_000; step++) {
      const choice = random(5);
      if (choice < 2) {
        const slot = allocate(table);
        if (slot !== -1) {
          expect(owned.has(slot)).toBe(false);
          owned.add(slot);
        }
      } else if (choice < 4 && owned.size > 0) {
        const slot = [...owned][random(owned.size)] ?? 0;
        owned.delete(slot);
        table.release(slot);
      } else {
        table.settle();
      }
      expect(table.used).toBe(owned.size);
    }
    for (const slot of owned) table.release(slot);
    table.settle();
    const all = Array.from({ length: 16 }, () => allocate(table));
    expect(new Set(all).size).toBe(16);
    expect(allocate(table)).toBe(-1);
  });
});

describe('a generation', () => {
  it('changes with every release, so that who remembers it finds out', () => {
    const table = tableOf(1);
    const slot = allocate(table);
    const generation = table.generation(slot);
    expect(table.isCurrent(slot, generation)).toBe(true);
    table.release(slot);
    expect(table.isCurrent(slot, generation)).toBe(false);
    expect(table.isCurrent(slot, table.generation(slot))).toBe(false);
    table.settle();
    allocate(table);
    expect(table.isCurrent(slot, generation)).toBe(false);
    expect(table.isCurrent(slot, table.generation(slot))).toBe(true);
  });

  it('goes round after 2^32 releases', () => {
    const table = tableOf(1);
    allocate(table);
    table.generations[0] = 2 ** 31 - 1;
    table.release(0);
    expect(table.generation(0)).toBe(-(2 ** 31));
  });
});

describe('flags', () => {
  it('are set and cleared one by one', () => {
    const table = tableOf(1);
    allocate(table);
    table.setFlag(0, RowFlag.queued | RowFlag.finishing);
    table.clearFlag(0, RowFlag.queued);
    expect(table.hasFlag(0, RowFlag.queued)).toBe(false);
    expect(table.hasFlag(0, RowFlag.finishing)).toBe(true);
    expect(table.flags[0]).toBe(128);
  });
});

describe('an address', () => {
  it.each([
    ['00000000000000000000ffff01020304', '1.2.3.4'],
    ['00000000000000000000fffffffefdfc', '255.254.253.252'],
    ['00000000000000000000000000000001', '::1'],
    ['00000000000000000000000000000000', '::'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['20010db8000100020003000400050006', '2001:db8:1:2:3:4:5:6'],
    ['fe800000000000000abc0def00000000', 'fe80::abc:def:0:0'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ])('%s is written as %s (RFC 5952)', (hex, text) => {
    const table = tableOf(2);
    table.allocate(1, 1, LOCALHOST, 0);
    table.allocate(1, 2, Buffer.from(`ffff${hex}1f90`, 'hex'), 2);
    expect(table.address(1)).toBe(text);
    expect(table.address(0)).toBe('127.0.0.1');
  });
});

describe('the columns', () => {
  it('are views of one buffer, which says its version and its capacity', () => {
    const table = tableOf(3);
    const { buffer } = table.numbers;
    expect([...new Int32Array(buffer, 0, 2)]).toEqual([2, 3]);
    const columns = [
      table.fds,
      table.generations,
      table.lastSeen,
      table.firstSubscriptions,
      table.flags,
      table.states,
      table.transports,
      table.apps,
    ];
    for (const column of columns) {
      expect(column.buffer).toBe(buffer);
      expect(column).toHaveLength(3);
    }
  });

  it('cost less than 64 bytes a row', () => {
    expect(tableOf(10_000).numbers.buffer.byteLength / 10_000).toBeLessThan(64);
  });
});

describe('the memory of a table', () => {
  it('is one buffer that is given to it, with its version and capacity in front', () => {
    const memory = new ArrayBuffer(ConnectionTable.bytesFor(3));
    const table = new ConnectionTable(3, memory);
    expect([...new Int32Array(memory, 0, 2)]).toEqual([2, 3]);
    expect(table.fds.buffer).toBe(memory);
    expect(table.flags.buffer).toBe(memory);
    expect(table.apps.byteOffset + table.apps.byteLength).toBeLessThanOrEqual(memory.byteLength);
  });
});
