import { isValidCloseCode } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import { channelNameProblem } from '../../options/channel-name.ts';
import { userProblem } from '../../options/user-name.ts';

/** Whom a message concerns: the subscribers of a channel, or the connections of a user. */
export type ControlTarget = { readonly channel: string } | { readonly user: string };

/**
 * What may arrive on `roost:control`, as JSON:
 *
 * ```
 * {"type":"disconnect","channel":"news","code":4500,"reason":"…"}   closes every subscriber of the channel
 * {"type":"disconnect","user":"u1"}                                 closes every connection of the user
 * {"type":"send","user":"u1","data":"hello"}                        sends a text to every connection of the user
 * {"type":"send","user":"u1","base64":"AAE="}                       sends bytes
 * ```
 */
export type ControlMessage =
  | {
      readonly type: 'disconnect';
      readonly target: ControlTarget;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly type: 'send'; readonly target: ControlTarget; readonly data: string | Buffer };

/** The message, or what is wrong with it. */
export function parseControlMessage(bytes: Buffer, maxChannelBytes: number): ControlMessage | string {
  let message: unknown;
  try {
    message = JSON.parse(bytes.toString());
  } catch {
    return 'it is not JSON';
  }
  if (typeof message !== 'object' || message === null) return 'it is not an object';
  const fields: Readonly<Record<string, unknown>> = { ...message };
  if (fields['type'] === 'disconnect') return parseDisconnect(fields, maxChannelBytes);
  if (fields['type'] === 'send') return parseSend(fields);
  return 'its type must be "disconnect" or "send"';
}

function parseDisconnect(
  { channel, user, code = CloseCode.disconnected, reason = '' }: Readonly<Record<string, unknown>>,
  maxChannelBytes: number,
): ControlMessage | string {
  const target = user === undefined ? parseChannel(channel, maxChannelBytes) : parseUser(user);
  if (typeof target === 'string') return target;
  if (user !== undefined && channel !== undefined) return 'it must have a channel or a user, not both';
  if (typeof code !== 'number' || !isValidCloseCode(code)) {
    return 'its code must be 1000 to 1003, 1007 to 1014 or 3000 to 4999';
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > 123) {
    return 'its reason must be a string of at most 123 bytes';
  }
  return { type: 'disconnect', target, code, reason };
}

function parseSend({ user, data, base64 }: Readonly<Record<string, unknown>>): ControlMessage | string {
  const target = parseUser(user);
  if (typeof target === 'string') return target;
  if (typeof data === 'string' && base64 === undefined) return { type: 'send', target, data };
  if (typeof base64 === 'string' && data === undefined) {
    return { type: 'send', target, data: Buffer.from(base64, 'base64') };
  }
  return 'its data must be a string, or its base64 one';
}

function parseChannel(channel: unknown, maxChannelBytes: number): ControlTarget | string {
  if (typeof channel !== 'string') return 'its channel must be a string';
  return channelNameProblem(channel, maxChannelBytes) ?? { channel };
}

function parseUser(user: unknown): ControlTarget | string {
  if (typeof user !== 'string') return 'its user must be a string';
  return userProblem(user) ?? { user };
}
