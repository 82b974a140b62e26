import { isUtf8 } from 'node:buffer';
import type { Publication } from '@roost/broker';
import {
  encodeFrame,
  encodeTextFrame,
  Opcode,
  type DataOpcode,
  type MessageDeflater,
} from '@roost/websocket';
import type { ChannelPublication } from '../../api/channel-publication.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import { PLAIN_LANE, type Lanes } from '../app/lanes.ts';
import { copyOf } from '../outbound/copy-of.ts';
import { FORM_SHIFT, RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Resync } from './broadcast-queues.ts';

/** What rows get that are to get nothing. */
const NOTHING = Buffer.alloc(0);
const NO_FRAMES: readonly Buffer[] = [];
/** Bits of the set of forms that a lane's rows need. */
const PLAIN = 0b01;
const DEFLATED = 0b10;
const FORMS_PER_LANE = 2;

/** The message of one lane. */
interface Message {
  readonly opcode: DataOpcode;
  readonly frame: Buffer;
  readonly payloadBytes: number;
}

export interface PublicationFramesParts {
  readonly config: Pick<FarmConfig, 'compression' | 'maxCompressBytes' | 'minCompressBytes'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly deflater: MessageDeflater;
  readonly lanes: Lanes;
}

/**
 * Makes the frames of a publication, when its subscribers are known: one for each lane that has one of them, and a compressed
 * one for those that agreed on compression. The number of a frame is the number of the form in a row's flags: twice the lane,
 * and one more when compressed.
 */
export class PublicationFrames {
  readonly #config: PublicationFramesParts['config'];
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #deflater: MessageDeflater;
  readonly #lanes: Lanes;

  constructor({ config, table, counters, deflater, lanes }: PublicationFramesParts) {
    this.#config = config;
    this.#table = table;
    this.#counters = counters;
    this.#deflater = deflater;
    this.#lanes = lanes;
  }

  /** The bits of a row's flags by which frames are chosen, where not all rows get the same: for as many forms as there are lanes. */
  get formMask(): number {
    const bits = 32 - Math.clz32(this.#lanes.count * FORMS_PER_LANE - 1);
    return (2 ** bits - 1) << FORM_SHIFT;
  }

  /**
   * The frames for the first `end` members: none when nobody gets anything, one when all get the same, else one for every number
   * that {@link formMask} has room for, empty for those that get nothing. The row `exceptSlot` needs none.
   */
  make(
    publication: Publication | Resync,
    members: Int32Array,
    end: number,
    exceptSlot: number,
  ): readonly Buffer[] {
    if (publication.kind === 'mark' || end === 0) return NO_FRAMES;
    const isText = publication.kind !== 'resync' && isUtf8(publication.payload);
    if (this.#lanes.count > 1) return this.#framesOfLanes(publication, isText, members, end, exceptSlot);
    const message = plainMessage(publication, isText);
    return message === undefined ? NO_FRAMES : this.#framesOfOneLane(message, members, end);
  }

  /** As most farms have it: there is only something to look for where it may be compressed. */
  #framesOfOneLane(message: Message, members: Int32Array, end: number): readonly Buffer[] {
    const { frame } = message;
    if (!this.#isCompressible(message.payloadBytes)) return [frame];
    const table = this.#table;
    let index = 0;
    while (index < end && !table.hasFlag(members[index] ?? -1, RowFlag.deflate)) index++;
    const compressed = index === end ? undefined : this.#compressed(message);
    return compressed === undefined ? [frame] : [frame, compressed];
  }

  #framesOfLanes(
    publication: Publication | Resync,
    isText: boolean,
    members: Int32Array,
    end: number,
    exceptSlot: number,
  ): readonly Buffer[] {
    const needed = this.#formsOf(members, end, exceptSlot);
    const formCount = (this.formMask >>> FORM_SHIFT) + 1;
    const frames: Buffer[] = [];
    const used = new Set<Buffer>();
    for (let form = 0; form < formCount; form += FORMS_PER_LANE) {
      const forms = (needed >>> form) & (PLAIN | DEFLATED);
      const message = forms === 0 ? undefined : this.#messageOf(form / FORMS_PER_LANE, publication, isText);
      const plain = message?.frame ?? NOTHING;
      const compressed = message !== undefined && forms >= DEFLATED ? this.#compressed(message) : undefined;
      frames.push(plain, compressed ?? plain);
      if ((forms & PLAIN) !== 0) used.add(plain);
      if ((forms & DEFLATED) !== 0) used.add(compressed ?? plain);
    }
    if (used.size > 1) return frames;
    const [only = NOTHING] = used;
    return only === NOTHING ? NO_FRAMES : [only];
  }

  /** A set of bits: which forms the members need. */
  #formsOf(members: Int32Array, end: number, exceptSlot: number): number {
    const { flags } = this.#table;
    let forms = 0;
    for (let index = 0; index < end; index++) {
      const slot = members[index] ?? -1;
      if (slot >= 0 && slot !== exceptSlot) forms |= 1 << ((flags[slot] ?? 0) >>> FORM_SHIFT);
    }
    return forms;
  }

  #messageOf(lane: number, publication: Publication | Resync, isText: boolean): Message | undefined {
    if (lane === PLAIN_LANE) return plainMessage(publication, isText);
    const message = this.#encode(lane, publication, isText);
    if (message === undefined) return undefined;
    if (typeof message !== 'string') return messageOf(Opcode.binary, message);
    const frame = encodeTextFrame(message);
    return { opcode: Opcode.text, frame, payloadBytes: Buffer.byteLength(message) };
  }

  #encode(lane: number, publication: Publication | Resync, isText: boolean): string | Uint8Array | undefined {
    if (publication.kind === 'resync') {
      return this.#lanes.resync(lane, publication.channel, publication.snapshot);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a mark has no message.
    return this.#lanes.encode(lane, { ...publication, isText } as ChannelPublication);
  }

  #isCompressible(payloadBytes: number): boolean {
    const { compression, minCompressBytes, maxCompressBytes } = this.#config;
    return compression && payloadBytes >= minCompressBytes && payloadBytes <= maxCompressBytes;
  }

  /** Undefined when it is to be left as it is. */
  #compressed({ opcode, frame, payloadBytes }: Message): Buffer | undefined {
    if (!this.#isCompressible(payloadBytes)) return undefined;
    const deflater = this.#deflater;
    if (!deflater.deflate(opcode, frame.subarray(frame.length - payloadBytes), payloadBytes))
      return undefined;
    this.#counters.add('publications_compressed');
    return copyOf(deflater.output, deflater.frameStart, deflater.frameEnd);
  }
}

/** What an app without an encode hook has its connections sent. */
function plainMessage(publication: Publication | Resync, isText: boolean): Message | undefined {
  if (publication.kind !== 'publication') return undefined;
  return messageOf(isText ? Opcode.text : Opcode.binary, publication.payload);
}

function messageOf(opcode: DataOpcode, payload: Uint8Array): Message {
  return { opcode, frame: encodeFrame(opcode, payload), payloadBytes: payload.length };
}
