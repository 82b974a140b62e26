import { isUtf8 } from 'node:buffer';

/**
 * What a publication is about:
 * - `publication`: a message of somebody's.
 * - `join`: a user has become a member of the channel, `leave`: a user is none any more. The payload of a join is what is known
 *   of the user, as JSON text; it may be empty.
 * - `count`: the payload is the number of subscribers, in decimal digits.
 * - `mark`: says only which version the channel has now.
 */
export type PublicationKind = 'publication' | 'join' | 'leave' | 'count' | 'mark';

/** What a publication carries beside its payload. */
export interface PublicationAttributes {
  /** The name of the event. */
  readonly event?: string;
  /** Id of the one connection that does not get it. */
  readonly except?: string;
  /** The user whom it concerns: who joins, leaves, or publishes. */
  readonly user?: string;
}

/** A publication with everything that an envelope holds. */
export interface Envelope extends PublicationAttributes {
  readonly kind: PublicationKind;
  /** Of the channel's members and last event, after this; 0 for a publication that changes neither. */
  readonly version: number;
  readonly payload: Buffer;
}

/**
 * The first bytes of every envelope, "ÿROOST", 0xFE, and the version of the format. Neither 0xFF nor 0xFE is in any text of
 * UTF-8.
 */
export const ENVELOPE_MARK = Buffer.from('ff524f4f5354fe01', 'hex');

/** By the byte that stands for each. */
const KINDS: ReadonlyMap<number, PublicationKind> = new Map([
  [0x70, 'publication'],
  [0x6a, 'join'],
  [0x6c, 'leave'],
  [0x63, 'count'],
  [0x6d, 'mark'],
]);
const KIND_BYTES = new Map([...KINDS].map(([byte, kind]) => [kind, byte]));

const MARK_BYTES = ENVELOPE_MARK.length;
const VERSION_DIGITS = 16;
const FIRST_FIELD = MARK_BYTES + 1 + VERSION_DIGITS;
const MAX_FIELD_BYTES = 0xffff;
const ZERO = 0x30;

/**
 * Wraps a publication. The layout, all of it in one PUBLISH to the channel's key:
 *
 * ```
 * FF 52 4F 4F 53 54 FE 01   the mark
 * 70                        the kind: p publication, j join, l leave, c count, m mark
 * 30 × 16                   the version, decimal digits
 * 00 05 68 65 6C 6C 6F      event: u16 BE length, UTF-8; length 0 for none
 * 00 03 31 2E 32            except: the same, ASCII
 * 00 00                     user: the same, UTF-8
 * …                         the payload
 * ```
 *
 * Throws a RangeError for a field of more than 65,535 bytes, and for a version that is no integer from 0 to 2^53 − 1.
 */
export function encodeEnvelope(
  payload: Uint8Array,
  {
    kind = 'publication',
    version = 0,
    event = '',
    except = '',
    user = '',
  }: Partial<Omit<Envelope, 'payload'>>,
): Buffer {
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new RangeError(`a version is an integer from 0 to ${Number.MAX_SAFE_INTEGER}, got ${version}`);
  }
  const fields = [event, except, user].map((text) => Buffer.from(text));
  const fieldBytes = fields.reduce((sum, field) => sum + 2 + field.length, 0);
  const envelope = Buffer.allocUnsafeSlow(FIRST_FIELD + fieldBytes + payload.byteLength);
  ENVELOPE_MARK.copy(envelope);
  envelope[MARK_BYTES] = KIND_BYTES.get(kind) ?? 0;
  envelope.write(String(version).padStart(VERSION_DIGITS, '0'), MARK_BYTES + 1, 'latin1');
  let at = FIRST_FIELD;
  for (const field of fields) {
    if (field.length > MAX_FIELD_BYTES) {
      throw new RangeError(
        `an attribute of a publication has at most ${MAX_FIELD_BYTES} bytes, got ${field.length}`,
      );
    }
    at = envelope.writeUInt16BE(field.length, at);
    at += field.copy(envelope, at);
  }
  envelope.set(payload, at);
  return envelope;
}

/**
 * What a program of ours publishes: the payload as it is, unless it has attributes, or would itself be taken for an envelope. So
 * bytes of anybody's can be published, and are what they were when they arrive.
 */
export function wrapPublication(
  payload: Uint8Array,
  attributes: PublicationAttributes | undefined,
): Uint8Array {
  if (attributes === undefined && !hasMark(payload)) return payload;
  return encodeEnvelope(payload, attributes ?? {});
}

/**
 * The publication in an envelope. Its payload is a view of `bytes`. Undefined when the bytes are none: whatever does not begin
 * with the mark and fit exactly is a message of somebody who knows nothing of envelopes.
 */
export function parseEnvelope(bytes: Buffer): Envelope | undefined {
  if (!hasMark(bytes)) return undefined;
  const kind = KINDS.get(bytes[MARK_BYTES] ?? 0);
  const version = versionOf(bytes);
  if (kind === undefined || version === undefined) return undefined;
  let at = FIRST_FIELD;
  const fields: (string | undefined)[] = [];
  for (let field = 0; field < 3; field++) {
    if (at + 2 > bytes.length) return undefined;
    const length = bytes.readUInt16BE(at);
    const end = at + 2 + length;
    if (end > bytes.length) return undefined;
    const text = bytes.subarray(at + 2, end);
    if (!isUtf8(text)) return undefined;
    fields.push(length === 0 ? undefined : text.toString());
    at = end;
  }
  const [event, except, user] = fields;
  return {
    kind,
    version,
    payload: bytes.subarray(at),
    ...(event !== undefined && { event }),
    ...(except !== undefined && { except }),
    ...(user !== undefined && { user }),
  };
}

function hasMark(bytes: Uint8Array): boolean {
  for (let index = 0; index < MARK_BYTES; index++) if (bytes[index] !== ENVELOPE_MARK[index]) return false;
  return true;
}

function versionOf(bytes: Buffer): number | undefined {
  let version = 0;
  for (let index = MARK_BYTES + 1; index < FIRST_FIELD; index++) {
    const digit = (bytes[index] ?? 0) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    version = version * 10 + digit;
  }
  return version <= Number.MAX_SAFE_INTEGER ? version : undefined;
}
