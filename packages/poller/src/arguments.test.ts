import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import {
  BroadcastWalk,
  Poller,
  receiveDescriptors,
  sendDescriptors,
  type BroadcastWalkOptions,
  type PollerOptions,
} from './index.ts';

const WITHOUT_ARGUMENTS = new Set(['descriptorPair', 'destroy', 'releaseFilePages', 'trimMemory']);

describe('wrong arguments', () => {
  let rig: Rig;
  const bytes = Buffer.from('hello');

  /** A walk that would be well, to the first slots. */
  function walkTo(count: number, options?: BroadcastWalkOptions): BroadcastWalk {
    const walk = new BroadcastWalk(options);
    walk.members = Int32Array.from({ length: count }, (_, slot) => slot);
    walk.to = count;
    walk.forms.fill(bytes);
    return walk;
  }

  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it.each([-1, 8, 1.5, NaN, Infinity, 2 ** 32])('are refused: the slot %d', (slot) => {
    expect(() => rig.poller.send(slot, bytes, 0, 1)).toThrow(TypeError);
    expect(() => rig.poller.watch(slot, 1)).toThrow(TypeError);
    expect(() => rig.poller.close(slot)).toThrow(TypeError);
    expect(() => rig.poller.unwatch(slot)).toThrow(TypeError);
    expect(() => rig.poller.setInterest(slot, 1)).toThrow(TypeError);
  });

  it('are named with what was received and what is allowed', () => {
    expect(() => rig.poller.watch(8, 1)).toThrow('slot must be an integer from 0 to 7, got 8');
    expect(() => rig.poller.watch(0, 4)).toThrow('interest must be an integer from 0 to 3, got 4');
    expect(() => rig.poller.watchNew(Int32Array.of(0, 9), 2)).toThrow('slots[1] must be from 0 to 7, got 9');
    expect(() => rig.poller.receiveNew(Int32Array.of(0), 2)).toThrow(
      'count must be an integer from 0 to 1, got 2',
    );
  });

  it.each([
    [-1, 'formMask must be an integer from 0 to 65535, got -1'],
    [0x1_00_00, 'formMask must be an integer from 0 to 65535, got 65536'],
    [0b101, 'formMask must be at most four neighbouring bits, got 0x5'],
    [0b1_1111, 'formMask must be at most four neighbouring bits, got 0x1f'],
  ])('are refused: the mask %d of forms', (formMask, message) => {
    expect(() => rig.poller.broadcast(Object.assign(walkTo(4), { formMask }), 1)).toThrow(message);
  });

  it.each([-1, 0b101, 0b1_1111])('are refused by a walk itself: the mask %d of forms', (formMask) => {
    expect(() => new BroadcastWalk({ formMask })).toThrow('formMask must be at most four neighbouring bits');
  });

  it('are refused: fewer forms than their mask has room for, and forms that are no bytes', () => {
    const walk = walkTo(4, { formMask: 0b110 });
    expect(walk.forms).toHaveLength(4);
    walk.forms.pop();
    expect(() => rig.poller.broadcast(walk, 1)).toThrow('each of forms must be a Buffer or Uint8Array');
    Object.assign(walk.forms, { 3: 'text' });
    expect(() => rig.poller.broadcast(walk, 1)).toThrow('each of forms must be a Buffer or Uint8Array');
  });

  it.each([
    [6, 0],
    [0, 6],
    [3, 3],
    [-1, 1],
    [1, -1],
    [2 ** 31, 1],
  ])('are refused: the range from %d of length %d', (offset, length) => {
    expect(() => rig.poller.send(0, bytes, offset, length)).toThrow(TypeError);
  });

  it('are refused: detached bytes', () => {
    const detached = new Uint8Array(16);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => rig.poller.send(0, detached, 0, 1)).toThrow(TypeError);
    const walk = walkTo(1);
    const members = new Int32Array(1);
    walk.members = members;
    structuredClone(members.buffer, { transfer: [members.buffer] });
    expect(() => rig.poller.broadcast(walk, 1)).toThrow('to must be an integer from 0 to 0, got 1');
    expect(() =>
      receiveDescriptors(0, new Int32Array(1), detached, { bytes: 0, count: 0, truncated: false }),
    ).toThrow(TypeError);
  });

  it('cannot take the memory away that the poller writes to', () => {
    for (const view of [
      rig.fds,
      rig.generations,
      rig.flags,
      rig.poller.slab,
      rig.poller.events,
      rig.poller.movedBytes,
    ]) {
      const { buffer, length } = view;
      if (!(buffer instanceof ArrayBuffer))
        throw new TypeError('the test needs memory that could be taken away');
      try {
        structuredClone(buffer, { transfer: [buffer] });
      } catch (error) {
        // Node 21 and later refuse; earlier ones copy.
        expect(error).toMatchObject({ name: 'DataCloneError' });
      }
      expect(view.length).toBe(length);
    }
  });

  it('are refused by broadcast', () => {
    const walk = walkTo(4);
    expect(() => rig.poller.broadcast(walk, -1)).toThrow(TypeError);
    expect(() => rig.poller.broadcast(walkTo(4, { maxExceptions: 0 }), 1)).toThrow('room for two counts');
    walk.exceptSlot = -2;
    expect(() => rig.poller.broadcast(walk, 1)).toThrow('exceptSlot must be an integer from -1 to');
    walk.exceptSlot = -1;
    walk.to = 5;
    expect(() => rig.poller.broadcast(walk, 1)).toThrow(TypeError);
    walk.to = 2;
    walk.from = 3;
    expect(() => rig.poller.broadcast(walk, 1)).toThrow(TypeError);
  });

  it('are refused by the calls on descriptors', () => {
    const none = new Int32Array(1);
    expect(() => sendDescriptors(0, none, 2, bytes)).toThrow(TypeError);
    expect(() => sendDescriptors(0, none, 0, Buffer.alloc(0))).toThrow('record must have at least 1 byte');
    expect(() => sendDescriptors(-1, none, 0, bytes)).toThrow(TypeError);
    expect(() => rig.poller.watchDescriptor(rig.listener, 0, 0)).toThrow(TypeError);
  });

  it.each<[string, Partial<PollerOptions>]>([
    ['slabBytes', { slabBytes: 4095 }],
    ['slabBytes', { slabBytes: 16 * 1024 * 1024 + 1 }],
    ['rowBytes', { rowBytes: 0 }],
    ['rowBytes', { slabBytes: 4096, rowBytes: 4097 }],
    ['maxEvents', { maxEvents: 1 }],
    ['maxEvents', { maxEvents: 65_537 }],
    ['sendableMask', { sendableMask: 65_536 }],
    ['sendableValue', { sendableValue: -1 }],
    [
      'fds, generations and flags',
      {
        columns: { fds: new Int32Array(2), generations: new Int32Array(3), flags: new Uint16Array(2) },
      },
    ],
  ])('are refused at creation: %s %o', (name, options) => {
    expect(() => new Poller({ columns: rig, onEvents: () => {}, ...options })).toThrow(
      expect.objectContaining({ name: 'TypeError', message: expect.stringContaining(`${name} must`) }),
    );
  });

  it('never crash the process, whatever they are', () => {
    const addon: Record<string, (...values: unknown[]) => unknown> = createRequire(import.meta.url)(
      '../build/poller.node',
    );
    const [fds, generations, events] = [new Int32Array(2), new Int32Array(2), new Int32Array(10)];
    const create = (movedBytes: Float64Array): unknown =>
      addon['createPoller']?.({
        fds,
        generations,
        flags: new Uint16Array(2),
        slab: new Uint8Array(4096),
        events,
        movedBytes,
        rowBytes: 1,
        sendableMask: 0,
        sendableValue: 0,
        onEvents: () => {},
      });
    expect(() => create(new Float64Array(1))).toThrow('movedBytes must have 2 elements, got 1');
    const instance = create(new Float64Array(2));
    const odd = [undefined, null, {}, 'text', Symbol('s'), 10n, NaN, -1, new DataView(new ArrayBuffer(8))];
    const calls = Object.entries(addon);
    for (const [name, method] of Object.entries(Object(instance))) {
      if (typeof method === 'function')
        calls.push([name, (...values) => Reflect.apply(method, undefined, values)]);
    }
    expect(calls.length).toBeGreaterThan(25);
    for (const [name, call] of calls) {
      if (WITHOUT_ARGUMENTS.has(name)) continue;
      for (const value of odd) {
        expect(() => call(...Array.from({ length: 9 }, () => value)), name).toThrow(TypeError);
      }
      expect(() => call(), name).toThrow(TypeError);
    }
    Object(instance).destroy();
  });
});
