import { buildFrame } from '@roost/testing';
import { describe, expect, it } from 'vitest';

import { EMPTY } from './empty.ts';
import { FrameKind, SimpleFrameReader } from './frames/frame-reader.ts';
import { encodeFrame, NO_STATUS_CODE, Opcode } from './frames/frame-writer.ts';
import { AwakeConnection, type AwakeHandlers } from './ws/awake-connection.ts';

const OPTIONS = { maxMessageBytes: 200, closeTimeoutMs: 1000 };
/** One slab for all connections, overwritten by every read, as a worker has it. */
const slab = Buffer.alloc(4096);

/** What a connection shows to the outside: what it answers, what it understood, how it ended. */
interface Outcome {
  readonly events: string[];
  wakeCount: number;
}

function handlersOf(events: string[]): AwakeHandlers {
  return {
    awakeOnWrite: (_slot, _generation, frame) => events.push(`write ${frame.toString('hex')}`),
    awakeOnMessage: (_slot, _generation, data, isBinary) =>
      events.push(`${isBinary ? 'binary' : 'text'} ${data.toString('hex')}`),
    awakeOnPong: () => events.push('pong'),
    awakeOnFinish: () => events.push('finish'),
    awakeOnClose: (_slot, _generation, code, reason) =>
      events.push(`close ${code} ${reason.toString('hex')}`),
  };
}

async function ticks(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Everything through ws. */
async function readAwake(pieces: readonly Buffer[]): Promise<Outcome> {
  const events: string[] = [];
  const awake = new AwakeConnection(handlersOf(events), 0, 0, OPTIONS, EMPTY);
  for (const piece of pieces) awake.receive(Buffer.from(piece));
  await ticks();
  awake.end();
  await ticks();
  return { events, wakeCount: 1 };
}

/** Simple frames past ws, as a worker does it: what is incomplete is kept aside, awake while it must be. */
async function readSimple(pieces: readonly Buffer[]): Promise<Outcome> {
  const outcome: Outcome = { events: [], wakeCount: 0 };
  const { events } = outcome;
  const reader = new SimpleFrameReader(OPTIONS);
  const handlers = handlersOf(events);
  let awake: AwakeConnection | undefined;
  let closed: string | undefined;
  let kept = EMPTY;
  for (const piece of pieces) {
    if (closed !== undefined) break;
    slab.fill(0xaa);
    piece.copy(slab, 5);
    let bytes: Buffer = slab;
    let at = 5;
    let end = 5 + piece.length;
    if (awake !== undefined) {
      awake.receive(Buffer.from(slab.subarray(at, end)));
      if (!awake.isAtBoundary()) continue;
      awake.destroy();
      awake = undefined;
      continue;
    }
    if (kept.length > 0) {
      bytes = Buffer.concat([kept, slab.subarray(at, end)]);
      kept = EMPTY;
      at = 0;
      end = bytes.length;
    }
    while (at < end) {
      const kind = reader.next(bytes, at, end);
      if (kind === FrameKind.incomplete) {
        kept = Buffer.from(bytes.subarray(at, end));
        break;
      }
      if (kind === FrameKind.complex) {
        awake = new AwakeConnection(handlers, 0, 0, OPTIONS, Buffer.from(bytes.subarray(at, end)));
        outcome.wakeCount++;
        break;
      }
      const payload = bytes.subarray(reader.payloadStart, reader.payloadEnd);
      if (kind === FrameKind.close) {
        events.push(`write ${encodeFrame(Opcode.close, payload).toString('hex')}`);
        const code = payload.length === 0 ? NO_STATUS_CODE : payload.readUInt16BE(0);
        closed = `close ${code} ${payload.subarray(2).toString('hex')}`;
        break;
      }
      if (kind === FrameKind.ping) events.push(`write ${encodeFrame(Opcode.pong, payload).toString('hex')}`);
      else if (kind === FrameKind.pong) events.push('pong');
      else events.push(`${kind === FrameKind.binary ? 'binary' : 'text'} ${payload.toString('hex')}`);
      at = reader.frameEnd;
    }
  }
  await ticks();
  if (awake === undefined) {
    events.push('finish', closed ?? 'close 1006 ');
  } else {
    awake.end();
    await ticks();
  }
  return outcome;
}

/** Minimal standard generator: the same numbers in every run. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % limit;
  };
}

function randomFrame(random: (limit: number) => number): Buffer {
  const lengths = [0, 1, 5, 47, 48, 60, 125, 126, 150, 200];
  const length = lengths[random(lengths.length)] ?? 0;
  const payload = Buffer.alloc(length, 'aé€😀');
  if (random(3) > 0) payload.fill('a');
  const opcodes = [1, 1, 1, 2, 2, 9, 10, 0, 8, 3];
  const opcode = opcodes[random(random(8) === 0 ? opcodes.length : 7)] ?? 1;
  const isFinal = random(6) > 0;
  const size = opcode > 8 && random(20) > 0 ? Math.min(length, 125) : length;
  const isMasked = random(60) > 0;
  const first = (isFinal || opcode > 7 ? 0x80 : 0) | opcode | (random(60) === 0 ? 0x40 : 0);
  const mask = Buffer.from(Array.from({ length: 4 }, () => random(256)));
  if (opcode === 8 && size > 1) payload.writeUInt16BE(random(2) === 0 ? 1000 : 999, 0);
  return buildFrame(first, payload.subarray(0, size), { mask: isMasked ? mask : undefined });
}

describe('simple frames past ws', () => {
  it('have the same outcome as everything through ws, in random frames and pieces', async () => {
    let wakeCount = 0;
    let messageCount = 0;
    let failureCount = 0;
    for (let seed = 1; seed <= 600; seed++) {
      const random = randomNumbers(seed * 7919);
      const frames = Array.from({ length: 1 + random(12) }, () => randomFrame(random));
      // Fragments that end, more often than chance would end them.
      if (random(2) === 0) frames.push(Buffer.from('018200000000c3a9808000000000', 'hex'));
      const stream = Buffer.concat(frames);
      const pieces: Buffer[] = [];
      const maxPiece = [1, 7, 60, 1000][random(4)] ?? 1;
      for (let at = 0; at < stream.length;) {
        const next = at + 1 + random(maxPiece);
        pieces.push(stream.subarray(at, next));
        at = next;
      }
      const expected = await readAwake(pieces);
      const actual = await readSimple(pieces);
      expect([seed, actual.events]).toEqual([seed, expected.events]);
      wakeCount += actual.wakeCount;
      messageCount += actual.events.filter((event) => /^(text|binary) /.test(event)).length;
      failureCount += actual.events.filter((event) => /^write 8802(?!03e8)/.test(event)).length;
    }
    expect(wakeCount).toBeGreaterThan(300);
    expect(messageCount).toBeGreaterThan(500);
    expect(failureCount).toBeGreaterThan(100);
  });
});
