import { jsonMember } from '../../json-member.ts';
import { isClientEvent } from './names.ts';

/**
 * The messages of Pusher Channels, protocol 5 to 7: JSON objects with an `event`, most with a `channel`, and `data`.
 *
 * What the server sends has `data` that is a text of JSON (`"data":"{\"a\":1}"`), as all SDKs expect it; only of
 * `pusher:error`, `pusher:signin_success`, `pusher:ping` and `pusher:pong` it is an object. Of clients both are taken.
 */

/** As pusher-js sends it, byte for byte; others have other spaces, and are parsed. */
export const PING = '{"event":"pusher:ping","data":{}}';
export const PONG = '{"event":"pusher:pong","data":{}}';

/** What a client asks for. */
export type ClientMessage =
  | { readonly type: 'ping' | 'pong' | 'unknown' }
  | {
      readonly type: 'subscribe';
      readonly channel: string;
      /** Empty when there is none, as public channels have none. */
      readonly auth: string;
      readonly channelData: string | undefined;
    }
  | { readonly type: 'unsubscribe'; readonly channel: string }
  | { readonly type: 'signin'; readonly auth: string; readonly userData: string }
  | {
      readonly type: 'clientEvent';
      readonly event: string;
      readonly channel: string;
      /** The text of the JSON that was sent, without white space between its tokens. */
      readonly data: string;
    }
  | {
      readonly type: 'malformed';
      /** In words that can follow "The message is not an event:". */
      readonly problem: string;
    };

/** Reads a text message of a client. Never throws. */
export function parseMessage(text: string): ClientMessage {
  const message = parseObject(text);
  if (message === undefined) return malformed('it is not a JSON object');
  const { event, channel } = message;
  if (typeof event !== 'string') return malformed('its event must be a text');
  if (isClientEvent(event)) {
    if (typeof channel !== 'string') return malformed('its channel must be a text');
    return { type: 'clientEvent', event, channel, data: jsonMember(text, 'data') ?? 'null' };
  }
  switch (event) {
    case 'pusher:ping':
      return { type: 'ping' };
    case 'pusher:pong':
      return { type: 'pong' };
    case 'pusher:subscribe':
      return parseSubscribe(dataOf(message));
    case 'pusher:unsubscribe':
      return parseUnsubscribe(dataOf(message));
    case 'pusher:signin':
      return parseSignin(dataOf(message));
    default:
      return { type: 'unknown' };
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function parseSubscribe(data: JsonObject | undefined): ClientMessage {
  if (data === undefined) return malformed('its data must be an object');
  const { channel, auth = null, channel_data: channelData = null } = data;
  if (typeof channel !== 'string') return malformed('the channel in its data must be a text');
  if (auth !== null && typeof auth !== 'string') return malformed('the auth in its data must be a text');
  if (channelData !== null && typeof channelData !== 'string') {
    return malformed('the channel_data in its data must be a text');
  }
  return { type: 'subscribe', channel, auth: auth ?? '', channelData: channelData ?? undefined };
}

function parseUnsubscribe(data: JsonObject | undefined): ClientMessage {
  const channel = data?.['channel'];
  if (typeof channel !== 'string') return malformed('the channel in its data must be a text');
  return { type: 'unsubscribe', channel };
}

function parseSignin(data: JsonObject | undefined): ClientMessage {
  const { auth, user_data: userData } = data ?? {};
  if (typeof auth !== 'string') return malformed('the auth in its data must be a text');
  if (typeof userData !== 'string') return malformed('the user_data in its data must be a text');
  return { type: 'signin', auth, userData };
}

/** An object, or the text of one. */
function dataOf({ data }: JsonObject): JsonObject | undefined {
  if (typeof data === 'string') return parseObject(data);
  return isObject(data) ? data : undefined;
}

/** The object of a JSON text; undefined when it is something else. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(problem: string): ClientMessage {
  return { type: 'malformed', problem };
}

/** The first message of the server. `activityTimeoutSeconds`, at least 1: silence after which the client pings. */
export function connectionEstablished(socketId: string, activityTimeoutSeconds: number): string {
  const data = JSON.stringify({ socket_id: socketId, activity_timeout: activityTimeoutSeconds });
  return `{"event":"pusher:connection_established","data":${JSON.stringify(data)}}`;
}

export function errorMessage(code: number | null, message: string): string {
  return JSON.stringify({ event: 'pusher:error', data: { code, message } });
}

/** What pusher-js and Echo show to who has bound `pusher:subscription_error` on the channel. */
export function subscriptionError(
  channel: string,
  error: { readonly type: string; readonly error: string; readonly status: number },
): string {
  return JSON.stringify({ event: 'pusher:subscription_error', channel, data: JSON.stringify(error) });
}

export function signinSuccess(userData: string): string {
  return JSON.stringify({ event: 'pusher:signin_success', data: { user_data: userData } });
}

export function cacheMiss(channel: string): string {
  return JSON.stringify({ event: 'pusher:cache_miss', channel });
}

/** A member of a presence channel; `info` is JSON, or empty for none. */
export interface PresenceMember {
  readonly user: string;
  readonly info: string;
}

/** `members` only of a presence channel. */
export function subscriptionSucceeded(channel: string, members?: readonly PresenceMember[]): string {
  const data = members === undefined ? '{}' : presence(members);
  return channelEvent('pusher_internal:subscription_succeeded', channel, JSON.stringify(data));
}

function presence(members: readonly PresenceMember[]): string {
  const ids: string[] = [];
  const hash: string[] = [];
  for (const { user, info } of members) {
    const id = JSON.stringify(user);
    ids.push(id);
    hash.push(`${id}:${infoOrNull(info)}`);
  }
  return `{"presence":{"ids":[${ids.join(',')}],"hash":{${hash.join(',')}},"count":${members.length}}}`;
}

/** What the channel of a publication carries, as far as it is sent to clients. */
export interface ChannelEvent {
  readonly kind: 'publication' | 'join' | 'leave' | 'count' | 'mark';
  readonly payload: Buffer;
  /** Whether the payload is UTF-8. */
  readonly isText: boolean;
  /** Undefined for what was published without a name, as by `redis-cli PUBLISH`. */
  readonly event?: string | undefined;
  readonly user?: string | undefined;
}

/** The name of events that were published without one. */
const UNNAMED_EVENT = 'message';

/** Whether a publication is one that clients cannot be sent: they read text. */
export function isUnreadable({ kind, isText }: Pick<ChannelEvent, 'kind' | 'isText'>): boolean {
  return kind === 'publication' && !isText;
}

/** The message for the subscribers of `channel`, as they call it; undefined when they get none. */
export function encodeEvent(channel: string, publication: ChannelEvent): string | undefined {
  const { kind, payload, user = '' } = publication;
  switch (kind) {
    case 'publication':
      return isUnreadable(publication) ? undefined : encodePublication(channel, publication);
    case 'join': {
      const data = `{"user_id":${JSON.stringify(user)},"user_info":${infoOrNull(payload.toString())}}`;
      return channelEvent('pusher_internal:member_added', channel, JSON.stringify(data));
    }
    case 'leave': {
      const data = `{"user_id":${JSON.stringify(user)}}`;
      return channelEvent('pusher_internal:member_removed', channel, JSON.stringify(data));
    }
    case 'count': {
      const data = `{"subscription_count":${payload.toString()}}`;
      return channelEvent('pusher_internal:subscription_count', channel, JSON.stringify(data));
    }
    default:
      return undefined;
  }
}

function encodePublication(channel: string, { event = UNNAMED_EVENT, payload, user }: ChannelEvent): string {
  const text = payload.toString();
  // The data of a client event goes on as it came: an object stays one, a text stays one.
  const data = isClientEvent(event) && isJson(text) ? text : JSON.stringify(text);
  return channelEvent(event, channel, data, user);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** `data` is JSON. */
function channelEvent(event: string, channel: string, data: string, user?: string): string {
  const userId = user === undefined ? '' : `,"user_id":${JSON.stringify(user)}`;
  return `{"event":${JSON.stringify(event)},"channel":${JSON.stringify(channel)},"data":${data}${userId}}`;
}

function infoOrNull(info: string): string {
  return info === '' ? 'null' : info;
}
