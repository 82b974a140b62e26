// The leading underscores are ws's.
/* oxlint-disable no-underscore-dangle */
import type { Writable } from 'node:stream';
import { extension, PerMessageDeflate, Receiver } from 'ws';
import {
  isCorruptAndTooLarge,
  mendInflate,
} from '../../packages/websocket/src/ws/mended-inflate.contract.ts';
import { Command } from './frames.ts';
import { COMPRESSION, MAX_FRAGMENTS, PROFILES, type Stream } from './stream.ts';

declare module 'ws' {
  /** Missing in the types. The members are ws's own (lib/receiver.js). */
  // oxlint-disable-next-line no-shadow
  export class Receiver extends Writable {
    constructor(options: {
      isServer: true;
      extensions: Record<string, unknown>;
      maxPayload: number;
      maxFragments: number;
    });
    readonly _errored: boolean;
    readonly _fin: boolean;
    readonly _state: number;
    readonly _bufferedBytes: number;
    readonly createError: Parameters<typeof mendInflate>[2]['createError'];
  }
}

/** What ws's own receiver makes of the whole stream, given at once. */
export interface Foretold {
  /** The application begins to close. */
  readonly isClosedByApp: boolean;
  /** The application ends the TCP connection. */
  readonly isTerminated: boolean;
  /** The stream breaks the protocol or a limit. */
  readonly isFaulty: boolean;
  /** The fault is in a compressed fragment that is not the last of its message. */
  readonly isFaultyEarly: boolean;
  /** The fault is a compressed message that breaks off, and has come to more than the limit by then. */
  readonly isCorruptAndTooLarge: boolean;
  /** A good close frame comes, and nothing before it ends the connection. */
  readonly isConcluded: boolean;
  /** Bytes behind what ends the connection: nobody will read them. */
  readonly bytesBehindEnd: number;
}

/** INFLATING in ws's lib/receiver.js. */
const RECEIVER_INFLATING = 5;

/** Says how a stream will end, so that the client knows what to wait for, and the comparison what may differ. */
export async function foretell(stream: Stream): Promise<Foretold> {
  const { maxMessageBytes: maxPayload = 0, compression = false } = PROFILES[stream.profile] ?? {};
  const deflate = compression && stream.offer !== '' ? agreed(stream.offer, maxPayload) : undefined;
  const extensions = deflate === undefined ? {} : { 'permessage-deflate': deflate };
  const receiver = new Receiver({ isServer: true, extensions, maxPayload, maxFragments: MAX_FRAGMENTS });
  const mended = deflate === undefined ? undefined : mendInflate(deflate, maxPayload, receiver);
  let isClosedByApp = stream.manners.atOpen === 'close';
  let isTerminated = stream.manners.atOpen === 'terminate';
  let isConcluded = false;
  receiver.on('message', (data: Buffer) => {
    if (isClosedByApp || isTerminated) return;
    isClosedByApp = data[0] === Command.close;
    isTerminated = data[0] === Command.terminate;
  });
  receiver.on('conclude', () => {
    isConcluded = true;
  });
  receiver.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    // A copy: the receiver unmasks in place.
    receiver.write(Buffer.concat(stream.units), () => resolve());
  });
  const { _errored, _fin, _state, _bufferedBytes: bytesBehindEnd } = receiver;
  // Errors of inflating are not the receiver's own.
  const isFaulty = _errored || receiver.errored !== null;
  const isInflating = isFaulty && _state === RECEIVER_INFLATING;
  return {
    isClosedByApp,
    isTerminated,
    isFaulty,
    isFaultyEarly: isInflating && !_fin,
    isCorruptAndTooLarge:
      isInflating && mended !== undefined && isCorruptAndTooLarge(mended.payload, maxPayload),
    isConcluded,
    bytesBehindEnd,
  };
}

function agreed(offer: string, maxPayload: number): PerMessageDeflate {
  const options = { ...COMPRESSION, isServer: true, maxPayload };
  const deflate = new PerMessageDeflate(options);
  deflate.accept(extension.parse(offer)['permessage-deflate'] ?? []);
  return deflate;
}
