import { encodeTextFrame, isValidCloseCode } from '@roost/websocket';
import type { App, CloseReplacement, ReturnAtOnce } from '../../api/app.ts';

const MAX_REPLIES = 4;
/** Of a frame with the shortest header, so that what the farm says by itself is small. */
const MAX_TEXT_BYTES = 125;
const MAX_REASON_BYTES = 123;
const MAX_RETURNS = 1_000_000;

/** A message that is answered with a constant frame, or with none. */
interface ConstantReply {
  readonly message: Buffer;
  readonly frame: Buffer | undefined;
}

/** What an app has its connections told without being asked, made once. */
export interface AppConstants {
  /** Undefined without any: nearly all apps. */
  readonly replies: readonly ConstantReply[] | undefined;
  /** The text that is sent in place of a ping. */
  readonly heartbeat: Buffer | undefined;
  readonly closeCodes: ReadonlyMap<number, CloseReplacement> | undefined;
  readonly returnAtOnce: ReturnAtOnce | undefined;
}

/** Throws a RangeError or a TypeError that names the mistake: JavaScript applications have no compiler. */
export function constantsOf({ replies = [], heartbeat, closeCodes = {}, returnAtOnce }: App): AppConstants {
  if (replies.length > MAX_REPLIES) {
    throw new RangeError(`an app has at most ${MAX_REPLIES} replies, got ${replies.length}`);
  }
  const made = replies.map(({ message, reply }) => {
    checkText('the message of a reply', message);
    if (reply !== undefined) checkText('a reply', reply);
    return { message: Buffer.from(message), frame: reply === undefined ? undefined : encodeTextFrame(reply) };
  });
  if (heartbeat !== undefined) checkText('a heartbeat', heartbeat);
  const codes = Object.entries(closeCodes).map(([code, replacement]) => {
    if (!/^\d{4}$/.test(code)) throw new RangeError(`closeCodes are by code, got ${JSON.stringify(code)}`);
    checkReplacement(`closeCodes[${code}]`, replacement);
    return [Number(code), replacement] as const;
  });
  if (returnAtOnce !== undefined) checkReturnAtOnce(returnAtOnce);
  return {
    replies: made.length === 0 ? undefined : made,
    heartbeat: heartbeat === undefined ? undefined : encodeTextFrame(heartbeat),
    closeCodes: codes.length === 0 ? undefined : new Map(codes),
    returnAtOnce,
  };
}

/** The reply to the message from `start` to `end`, if there is one. Allocates nothing. */
export function replyTo(
  replies: readonly ConstantReply[],
  bytes: Uint8Array,
  start: number,
  end: number,
): ConstantReply | undefined {
  for (const reply of replies) if (isMessage(reply.message, bytes, start, end)) return reply;
  return undefined;
}

function isMessage(message: Buffer, bytes: Uint8Array, start: number, end: number): boolean {
  const { length } = message;
  if (end - start !== length) return false;
  for (let index = 0; index < length; index++) {
    if (message[index] !== bytes[start + index]) return false;
  }
  return true;
}

function checkText(what: string, text: unknown): void {
  if (typeof text !== 'string') throw new TypeError(`${what} must be a string, got ${typeof text}`);
  const bytes = Buffer.byteLength(text);
  if (bytes >= 1 && bytes <= MAX_TEXT_BYTES && text.isWellFormed()) return;
  throw new RangeError(`${what} must have 1 to ${MAX_TEXT_BYTES} bytes of UTF-8, got ${bytes}`);
}

function checkReplacement(name: string, { code, reason = '' }: CloseReplacement): void {
  if (!isValidCloseCode(code)) {
    throw new RangeError(`${name} must be 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}`);
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > MAX_REASON_BYTES) {
    throw new RangeError(`${name} must have a reason of at most ${MAX_REASON_BYTES} bytes`);
  }
}

function checkReturnAtOnce(returnAtOnce: ReturnAtOnce): void {
  const { perSecond } = returnAtOnce;
  checkReplacement('returnAtOnce', returnAtOnce);
  if (typeof perSecond === 'number' && perSecond > 0 && perSecond <= MAX_RETURNS) return;
  throw new RangeError(
    `returnAtOnce.perSecond must be more than 0 and at most ${MAX_RETURNS}, got ${String(perSecond)}`,
  );
}
