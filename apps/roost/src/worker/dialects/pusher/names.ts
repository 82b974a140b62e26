/** What the beginning of a channel's name says of it. */
export interface ChannelKind {
  /** `user` is the channel of a signed-in user, `#server-to-user-<id>`. */
  readonly access: 'public' | 'private' | 'presence' | 'user';
  /** Its events are encrypted by their publishers; the server has no key. */
  readonly isEncrypted: boolean;
  /** It keeps its last event for those who come later. */
  readonly isCache: boolean;
}

/** What begins the name of the channel of one signed-in user; the id follows. */
export const USER_CHANNEL_PREFIX = '#server-to-user-';

/** By which connections of an app are counted. No client can subscribe to it, or unsubscribe: see {@link channelProblem}. */
export const CONNECTIONS_CHANNEL = '#connections';

/** Of the name of an event, as Pusher and the SDKs of servers have it. */
export const MAX_EVENT_CHARACTERS = 200;

/** Of a user's id, as Pusher says. */
const MAX_USER_CHARACTERS = 128;

const CLIENT_EVENT_PREFIX = 'client-';

/** The longest first: the name belongs to the first that fits. */
const KINDS: readonly (readonly [prefix: string, kind: ChannelKind])[] = [
  ['private-encrypted-cache-', { access: 'private', isEncrypted: true, isCache: true }],
  ['private-encrypted-', { access: 'private', isEncrypted: true, isCache: false }],
  ['private-cache-', { access: 'private', isEncrypted: false, isCache: true }],
  ['private-', { access: 'private', isEncrypted: false, isCache: false }],
  ['presence-cache-', { access: 'presence', isEncrypted: false, isCache: true }],
  ['presence-', { access: 'presence', isEncrypted: false, isCache: false }],
  ['cache-', { access: 'public', isEncrypted: false, isCache: true }],
  [USER_CHANNEL_PREFIX, { access: 'user', isEncrypted: false, isCache: false }],
];

const PUBLIC: ChannelKind = { access: 'public', isEncrypted: false, isCache: false };

/** The kind of a channel whose name has no problem. */
export function kindOf(channel: string): ChannelKind {
  return KINDS.find(([prefix]) => channel.startsWith(prefix))?.[1] ?? PUBLIC;
}

/**
 * Why `channel` is no name of a channel, in words that can follow it, or undefined when it is one: 1 to `maxCharacters` of
 * `A-Za-z0-9_-=@,.;`, or `#server-to-user-` and the id of a user.
 */
export function channelProblem(channel: string, maxCharacters: number): string | undefined {
  if (channel.startsWith(USER_CHANNEL_PREFIX)) {
    const problem = userProblem(channel.slice(USER_CHANNEL_PREFIX.length));
    return problem === undefined ? undefined : `names a user whose id ${problem}`;
  }
  if (channel.length === 0) return 'is empty';
  if (channel.length > maxCharacters) return `has more than ${maxCharacters} characters`;
  return /^[A-Za-z0-9_\-=@,.;]+$/.test(channel)
    ? undefined
    : 'has other characters than letters, digits and _ - = @ , . ;';
}

/** Why `id` is no id of a user, in words that can follow it, or undefined when it is one. */
export function userProblem(id: string): string | undefined {
  if (id.length === 0) return 'is empty';
  if (id.length > MAX_USER_CHARACTERS) return `has more than ${MAX_USER_CHARACTERS} characters`;
  // oxlint-disable-next-line no-control-regex -- they cannot be part of the name of a channel, and the id is
  if (/[\u0000-\u001f\u007f-\u009f]/.test(id)) return 'has control characters';
  return id.isWellFormed() ? undefined : 'has half a surrogate pair';
}

/** Why `event` cannot be triggered by a back end, in words that can follow it, or undefined when it can. */
export function eventProblem(event: string): string | undefined {
  if (event.length === 0) return 'is empty';
  if (event.length > MAX_EVENT_CHARACTERS) return `has more than ${MAX_EVENT_CHARACTERS} characters`;
  if (event.startsWith('pusher:') || event.startsWith('pusher_internal:')) {
    return 'begins with pusher: or pusher_internal:, which only the server sends';
  }
  return event.isWellFormed() ? undefined : 'has half a surrogate pair';
}

/** Whether clients may trigger the event, and its data is JSON of any kind in place of a text. */
export function isClientEvent(event: string): boolean {
  return event.startsWith(CLIENT_EVENT_PREFIX);
}
