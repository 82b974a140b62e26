import type { Foretold } from './oracle.ts';
import { inflateReceived } from './server-frames.ts';
import type { Transcript } from './stream.ts';

/** A difference between the two that is meant, and why. */
interface Rule {
  readonly name: string;
  readonly reason: string;
  /** Whether the two may differ in this way. */
  readonly allows: (foretold: Foretold, ws: Transcript, roost: Transcript) => boolean;
}

const ABNORMAL = 1006;

/** Of all that follows a fault. */
const EARLY: Rule = {
  name: 'broken fragments',
  reason:
    'ws inflates each fragment as it comes. Roost inflates the message with its last one, so as to keep no zlib state for those that never come, and notices a fault then, if no other ends the connection before.',
  allows: ({ isFaultyEarly }, ws, roost) => {
    // But for ws's close frame all that ws sent was sent.
    const closeBytes = 9;
    const before = ws.received.subarray(0, ws.received.length - closeBytes);
    return isFaultyEarly && isPrefix(before, roost.received) && roost.end !== 'none';
  },
};

/** Close frames with 1007 and 1009, as inflateReceived() writes frames. */
const INVALID_PAYLOAD = Buffer.from('880000000203ef', 'hex');
const MESSAGE_TOO_BIG = Buffer.from('880000000203f1', 'hex');

const TWO_FAULTS: Rule = {
  name: 'corrupt and too large',
  reason:
    'A compressed message that breaks off where it has already come to more than the limit has two faults. Which of them is met first depends on the room that zlib is given at a time: 16 KB by ws, one byte more than the limit by Roost.',
  allows: (foretold, ws, roost) =>
    foretold.isCorruptAndTooLarge &&
    endsInEither(ws) &&
    endsInEither(roost) &&
    beforeClose(ws).equals(beforeClose(roost)),
};

function endsInEither({ received }: Transcript): boolean {
  const end = received.subarray(-INVALID_PAYLOAD.length);
  return end.equals(INVALID_PAYLOAD) || end.equals(MESSAGE_TOO_BIG);
}

function beforeClose({ received }: Transcript): Buffer {
  return received.subarray(0, -INVALID_PAYLOAD.length);
}

/** Of how the TCP connection ends. */
const END_RULES: readonly Rule[] = [
  EARLY,
  {
    name: 'reset behind the end',
    reason:
      'Once close frames have gone both ways Roost closes the socket at once (RFC 6455 §7.1.1), and the kernel answers what a client sends behind its close frame, which it must not, with RST. ws reads and discards it for up to 30 s.',
    allows: isReset,
  },
  {
    name: 'terminated',
    reason:
      'Whether bytes were unread when the application ended the socket decides between FIN and RST, on both sides.',
    allows: ({ isTerminated }, ws, roost) => isTerminated && ws.end !== 'none' && roost.end !== 'none',
  },
];

/** Of the bytes that the client received. */
const BYTES_RULES: readonly Rule[] = [
  EARLY,
  TWO_FAULTS,
  {
    name: 'reset: unsent bytes',
    reason: 'With an RST (see "reset behind the end") the kernel drops what it could not send yet.',
    allows: (foretold, ws, roost) => isReset(foretold, ws, roost) && isPrefix(roost.received, ws.received),
  },
  {
    name: 'terminated: unsent bytes',
    reason:
      'When the application ends the socket Node forgets what it has queued, and an RST (see "terminated") what waits in the kernel.',
    allows: ({ isTerminated }, ws, roost) =>
      isTerminated && (isPrefix(ws.received, roost.received) || isPrefix(roost.received, ws.received)),
  },
];

function isReset(foretold: Foretold, ws: Transcript, roost: Transcript): boolean {
  const { isConcluded, isFaulty, isClosedByApp, bytesBehindEnd } = foretold;
  // What breaks the protocol after our close frame ends the handshake as the client's close frame does.
  const isOver = isConcluded || (isFaulty && isClosedByApp);
  return isOver && bytesBehindEnd > 0 && ws.end === 'fin' && roost.end === 'reset';
}

function isPrefix(bytes: Buffer, of: Buffer): boolean {
  return of.subarray(0, bytes.length).equals(bytes);
}

/** Of what the close hook is told. */
const CLOSE_RULES: readonly Rule[] = [
  EARLY,
  {
    name: 'close frame behind the end',
    reason:
      'When the application ends the socket ws still reads what it has received, and tells of a close frame in it. To Roost nothing came of a handshake.',
    allows: ({ isTerminated, isConcluded }, ws, roost) =>
      isTerminated && isConcluded && ws.close !== undefined && roost.close?.code === ABNORMAL,
  },
  {
    name: 'lenient while closing',
    reason:
      'After our close frame Roost looks for the client’s and discards everything else unread; ws still judges it, and says 1006 for what it finds wrong.',
    allows: ({ isClosedByApp, isFaulty }, ws, roost) =>
      isClosedByApp && isFaulty && ws.close?.code === ABNORMAL && roost.close !== undefined,
  },
];

/** Everything in which the two runs of one stream differ, but for what a rule allows; empty when they agree. */
export function differences(foretold: Foretold, seenOfWs: Transcript, seenOfRoost: Transcript): string[] {
  const ws = { ...seenOfWs, received: inflateReceived(seenOfWs.received) };
  const roost = { ...seenOfRoost, received: inflateReceived(seenOfRoost.received) };
  const found: string[] = [];
  const isAllowed = (rules: readonly Rule[]): boolean =>
    rules.some(({ allows }) => allows(foretold, ws, roost));
  if (messagesOf(ws) !== messagesOf(roost)) found.push('messages');
  if (!ws.received.equals(roost.received) && !isAllowed(BYTES_RULES)) {
    found.push('bytes that the client received');
  }
  if (ws.end !== roost.end && !isAllowed(END_RULES)) found.push('how the TCP connection ended');
  if ((closeOf(ws) !== closeOf(roost) || ws.close === undefined) && !isAllowed(CLOSE_RULES)) {
    found.push('what the close hook was told');
  }
  return found;
}

function messagesOf({ messages }: Transcript): string {
  return messages
    .map(({ isBinary, data }) => `${isBinary ? 'binary' : 'text'} ${data.toString('hex')}`)
    .join('\n');
}

export function closeOf({ close }: Transcript): string {
  return close === undefined ? 'was not called' : `${close.code} ${JSON.stringify(close.reason)}`;
}
