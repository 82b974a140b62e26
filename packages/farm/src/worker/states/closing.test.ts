import { clientFrame, textFrame } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RowRig } from '../fixtures/row-rig.ts';
import { RowFlag, RowState, Transport } from '../rows/connection-table.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import { CLOSE_REASONS } from './close-reasons.ts';
import { Closing } from './closing.ts';

/** The client's close frame: 1000, done. */
const CLOSE_DONE = clientFrame(0x88, Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('done')]));
/** Whoever takes its payload for frames finds nothing but close frames without a code. */
const DATA = clientFrame(0x82, Buffer.alloc(600, '888000000000', 'hex'), '00000000');
/** Our close frame without a reason. */
const SENT_4000 = 'send 88020fa0';

let rig: RowRig;
let closing: Closing;
let slot: number;

/** An open row. */
function setUp(): void {
  rig = new RowRig();
  ({ slot } = rig);
  closing = new Closing(rig);
  rig.states[RowState.closing] = closing;
  rig.open();
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  setUp();
});
afterEach(() => void vi.useRealTimers());

/** The client says this. */
function receive(bytes: Buffer): void {
  closing.receive(slot, bytes, 0, bytes.length);
}

/** Of a frame so many bytes have arrived while the row was open. */
function keep(frame: Buffer, bytes: number): void {
  expect(rig.inboundBuffer.append(slot, frame, 0, bytes)).toBe(true);
  rig.inboundBuffer.setRequired(slot, frame.length);
}

/** The row speaks TLS, or HTTP until now: a Node stream has its descriptor. */
function useStream(): void {
  rig.table.transports[slot] = Transport.stream;
}

describe('a close that the worker begins', () => {
  it('for a reason of its own has the code and the reason of the app, where that has them', () => {
    closing.beginOwn(slot, 4000, 'bye');
    expect(rig.asked).toEqual(['leave', 'send 88050fa0627965']);
    setUp();
    rig.closeReplacement = { code: 4100 };
    closing.beginOwn(slot, 4000, 'bye');
    expect(rig.asked).toEqual(['leave', 'send 88051004627965']);
    setUp();
    rig.closeReplacement = { code: 4100, reason: 'x' };
    closing.beginFor(CLOSE_REASONS.messageTimeout, slot, Buffer.alloc(0), 0, 0);
    expect(rig.asked).toEqual(['leave', 'send 8803100478']);
    expect(rig.counters.get('closed_message_timeout')).toBe(1);
    setUp();
    rig.closeReplacement = { code: 4100 };
    closing.begin(slot, 4000, 'bye');
    expect(rig.asked).toEqual(['leave', 'send 88050fa0627965']);
  });

  it('takes the row from its channels and from the app, and sends the frame', () => {
    closing.begin(slot, 4000, 'bye');
    expect(rig.asked).toEqual(['leave', 'send 88050fa0627965']);
    expect(rig.table.state(slot)).toBe(RowState.closing);
    expect(rig.table.hasFlag(slot, RowFlag.open | RowFlag.sendable)).toBe(false);
    expect(rig.timeouts.kind(slot)).toBe(TimeoutKind.closing);
    expect(rig.closes).toEqual([]);
  });

  it("ends with the code and the reason of the client's frame", () => {
    closing.begin(slot, 4000, '');
    receive(CLOSE_DONE);
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.asked).toEqual(['leave', SENT_4000]);
    expect(rig.hasEnded).toBe(true);
  });

  it("finds the client's frame behind data, wherever the stream is cut", () => {
    const bytes = Buffer.concat([textFrame('late'), DATA, CLOSE_DONE]);
    for (let cut = 1; cut < bytes.length; cut++) {
      setUp();
      closing.begin(slot, 4000, '');
      receive(bytes.subarray(0, cut));
      expect(rig.closes, `cut at ${cut}`).toEqual([]);
      receive(bytes.subarray(cut));
      expect(rig.closes, `cut at ${cut}`).toEqual([[1000, 'done']]);
    }
  });

  it("finds it byte by byte, and keeps no more of the client's than the beginning of a header or of that frame", () => {
    closing.begin(slot, 4000, '');
    for (const byte of Buffer.concat([DATA, CLOSE_DONE])) {
      expect(rig.inboundBuffer.length(slot)).toBeLessThan(CLOSE_DONE.length);
      receive(Buffer.from([byte]));
    }
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
  });

  it('skips a frame that has begun to arrive, wherever that was cut', () => {
    for (let cut = 1; cut < DATA.length; cut++) {
      setUp();
      keep(DATA, cut);
      closing.begin(slot, 4000, '');
      receive(DATA.subarray(cut));
      expect(rig.closes, `cut at ${cut}`).toEqual([]);
      receive(CLOSE_DONE);
      expect(rig.closes, `cut at ${cut}`).toEqual([[1000, 'done']]);
    }
  });

  it('takes compressed data for data where that was agreed on, and for nonsense elsewhere', () => {
    const compressed = clientFrame(0xc1, 'anything');
    rig.table.setFlag(slot, RowFlag.deflate);
    closing.begin(slot, 4000, '');
    receive(Buffer.concat([compressed, CLOSE_DONE]));
    expect(rig.closes).toEqual([[1000, 'done']]);
    setUp();
    closing.begin(slot, 4000, '');
    receive(compressed);
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it.each([
    ['what is no frame', Buffer.from('GET / HTTP/1.1\r\n')],
    ['a frame without a mask', Buffer.from('8100', 'hex')],
    ['a close frame with a code that stands in none', clientFrame(0x88, Buffer.from([0x03, 0xee]))],
  ])('ends with 1006 at %s', (_what, bytes) => {
    closing.begin(slot, 4000, '');
    receive(bytes);
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it("ends with 1006 when there is no memory for the beginning of the client's frame", () => {
    closing.begin(slot, 4000, '');
    rig.fillInboundBuffer();
    receive(CLOSE_DONE.subarray(0, 5));
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it('needs no memory for data that it skips', () => {
    closing.begin(slot, 4000, '');
    rig.fillInboundBuffer();
    receive(DATA.subarray(0, 100));
    receive(DATA.subarray(100));
    receive(CLOSE_DONE);
    expect(rig.closes).toEqual([[1000, 'done']]);
  });
});

describe('a close handshake whose row still has a queue', () => {
  beforeEach(() => {
    rig.isStuck = true;
    closing.begin(slot, 4000, '');
  });

  it('ends when the queue is empty, with what the client has said first', () => {
    receive(CLOSE_DONE);
    expect(rig.closes).toEqual([]);
    receive(clientFrame(0x88, Buffer.from([0x03, 0xe9])));
    receive(Buffer.from('nonsense'));
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.asked).toEqual(['leave', SENT_4000]);
  });

  it('still waits for the client when only its own frame has gone', () => {
    rig.flush();
    expect(rig.closes).toEqual([]);
    receive(CLOSE_DONE);
    expect(rig.closes).toEqual([[1000, 'done']]);
  });

  it('sends the rest to a client that has sent FIN, and ends with 1006 if no close frame came', () => {
    closing.onPeerEnd(slot);
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it("ends with the client's code when FIN came behind its frame", () => {
    receive(CLOSE_DONE);
    closing.onPeerEnd(slot);
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1000, 'done']]);
  });

  it('ends at once when the TCP connection is lost', () => {
    closing.onLost(slot);
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it("ends with the client's code when the TCP connection is lost behind its frame", () => {
    receive(CLOSE_DONE);
    closing.onLost(slot);
    expect(rig.closes).toEqual([[1000, 'done']]);
  });
});

describe('a close handshake', () => {
  it('ends with the FIN of a client that has said nothing and is owed nothing', () => {
    closing.begin(slot, 4000, '');
    closing.onPeerEnd(slot);
    expect(rig.closes).toEqual([[1006, '']]);
  });

  it('ends with 1006 after closeTimeoutMs, which data does not renew', () => {
    closing.begin(slot, 4000, '');
    vi.advanceTimersByTime(200);
    receive(DATA);
    vi.advanceTimersByTime(99);
    expect(rig.closes).toEqual([]);
    vi.advanceTimersByTime(3);
    expect(rig.closes).toEqual([[1006, '']]);
    expect(rig.counters.get('close_timeouts')).toBe(1);
  });

  it("ends with the client's code when only its queue outlasts closeTimeoutMs", () => {
    rig.isStuck = true;
    closing.begin(slot, 4000, '');
    receive(CLOSE_DONE);
    vi.advanceTimersByTime(302);
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.counters.get('close_timeouts')).toBe(1);
  });

  it('over a stream ends its half behind the close frames, and the row when all has gone', () => {
    useStream();
    closing.begin(slot, 4000, '');
    receive(CLOSE_DONE);
    expect(rig.asked).toEqual(['leave', SENT_4000, 'finish']);
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1000, 'done']]);
  });
});

describe('a close that the client begins', () => {
  const PAYLOAD = Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('grüß')]);

  it('is answered with a copy of its frame, and the row ends', () => {
    closing.answer(slot, PAYLOAD);
    expect(rig.asked).toEqual(['leave', 'send 880803e86772c3bcc39f']);
    expect(rig.closes).toEqual([[1000, 'grüß']]);
  });

  it('without a code is answered without one, and told as 1005', () => {
    closing.answer(slot, Buffer.alloc(0));
    expect(rig.asked).toEqual(['leave', 'send 8800']);
    expect(rig.closes).toEqual([[1005, '']]);
  });

  it('ends when the queue is empty; what still comes is not looked at, and nothing is kept', () => {
    keep(DATA, 100);
    rig.isStuck = true;
    closing.answer(slot, PAYLOAD);
    expect(rig.table.state(slot)).toBe(RowState.closing);
    expect(rig.table.isOpen(slot)).toBe(false);
    receive(Buffer.from('nonsense'));
    expect(rig.inboundBuffer.usedBytes).toBe(0);
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1000, 'grüß']]);
  });

  it('ends after closeTimeoutMs when its client does not read the answer', () => {
    rig.isStuck = true;
    closing.answer(slot, PAYLOAD);
    vi.advanceTimersByTime(302);
    expect(rig.closes).toEqual([[1000, 'grüß']]);
  });

  it('over a stream ends when the stream has sent everything', () => {
    useStream();
    closing.answer(slot, PAYLOAD);
    expect(rig.asked.at(-1)).toBe('finish');
    expect(rig.closes).toEqual([]);
    rig.flush();
    expect(rig.closes).toEqual([[1000, 'grüß']]);
  });
});

describe("a close for a reason of the worker's own, in the middle of the client's bytes", () => {
  it('is counted, and finds a close frame among the rest of them', () => {
    const bytes = Buffer.concat([Buffer.from('read'), DATA, CLOSE_DONE, Buffer.from('not read')]);
    closing.beginFor(CLOSE_REASONS.messageTimeout, slot, bytes, 4, bytes.length - 8);
    // 4001, the message did not arrive in time
    expect(rig.asked[1]).toBe(
      'send 88240fa1746865206d65737361676520646964206e6f742061727269766520696e2074696d65',
    );
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.counters.get('closed_message_timeout')).toBe(1);
  });

  it('goes on behind a frame that has begun to arrive', () => {
    keep(DATA, 100);
    const rest = Buffer.concat([DATA.subarray(100), CLOSE_DONE]);
    closing.beginFor(CLOSE_REASONS.noMemory, slot, rest, 0, rest.length);
    expect(rig.closes).toEqual([[1000, 'done']]);
    expect(rig.counters.get('refused_inbound_bytes')).toBe(1);
  });

  it('reads no further when what is kept has ended the row already', () => {
    keep(Buffer.from('nonsense'), 4);
    // What is read of this would be kept for more to come.
    closing.beginFor(CLOSE_REASONS.noMemory, slot, CLOSE_DONE, 0, 5);
    expect(rig.closes).toEqual([[1006, '']]);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
  });
});

describe('a close that ws decides', () => {
  it('takes the row from its channels and from the app, and sends FIN; ws still reads', () => {
    rig.rows.enter(slot, RowState.awake);
    closing.joinWs(slot);
    expect(rig.asked).toEqual(['leave', 'finish']);
    expect(rig.table.state(slot)).toBe(RowState.awake);
    expect(rig.table.hasFlag(slot, RowFlag.open | RowFlag.sendable)).toBe(false);
    expect(rig.timeouts.kind(slot)).toBe(TimeoutKind.closing);
    expect(rig.closes).toEqual([]);
  });
});
