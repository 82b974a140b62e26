import type { Writable } from 'node:stream';
import { Receiver } from 'ws';
import { CLOSE, Command } from './frames.ts';
import { MAX_FRAGMENTS, PROFILES, type Stream } from './stream.ts';

declare module 'ws' {
  /** Missing in the types. The members are ws's own (lib/receiver.js). */
  // oxlint-disable-next-line no-shadow
  export class Receiver extends Writable {
    constructor(options: { isServer: true; maxPayload: number; maxFragments: number });
    readonly _errored: boolean;
    readonly _bufferedBytes: number;
    readonly _opcode: number;
    readonly _state: number;
  }
}

/** GET_MASK and GET_DATA in ws's lib/receiver.js. */
const RECEIVER_AT_MASK = 3;
const RECEIVER_IN_PAYLOAD = 4;

/** What ws's own receiver makes of the whole stream, given at once. */
export interface Foretold {
  /** The application begins to close. */
  readonly isClosedByApp: boolean;
  /** The application ends the TCP connection. */
  readonly isTerminated: boolean;
  /** The stream breaks the protocol or a limit. */
  readonly isFaulty: boolean;
  /** A good close frame comes, and nothing before it ends the connection. */
  readonly isConcluded: boolean;
  /** It ends within a close frame. */
  readonly isCutInClose: boolean;
  /** Bytes behind what ends the connection: nobody will read them. */
  readonly bytesBehindEnd: number;
}

/** Says how a stream will end, so that the client knows what to wait for, and the comparison what may differ. */
export function foretell(stream: Stream): Foretold {
  const receiver = new Receiver({
    isServer: true,
    maxPayload: PROFILES[stream.profile]?.maxMessageBytes ?? 0,
    maxFragments: MAX_FRAGMENTS,
  });
  let isClosedByApp = false;
  let isTerminated = false;
  let isConcluded = false;
  let isFaulty = false;
  receiver.on('message', (data: Buffer) => {
    if (isClosedByApp || isTerminated) return;
    isClosedByApp = data[0] === Command.close;
    isTerminated = data[0] === Command.terminate;
  });
  receiver.on('conclude', () => {
    isConcluded = true;
  });
  receiver.on('error', () => undefined);
  // A copy: the receiver unmasks in place.
  receiver.write(Buffer.concat(stream.units), (error) => {
    isFaulty = error instanceof Error;
  });
  // oxlint-disable-next-line no-underscore-dangle -- ws has no other way to ask.
  const { _errored: isErrored, _bufferedBytes: buffered, _opcode: opcode, _state: state } = receiver;
  const isCutInClose = opcode === CLOSE && (state === RECEIVER_AT_MASK || state === RECEIVER_IN_PAYLOAD);
  isFaulty ||= isErrored;
  return { isClosedByApp, isTerminated, isFaulty, isConcluded, isCutInClose, bytesBehindEnd: buffered };
}
