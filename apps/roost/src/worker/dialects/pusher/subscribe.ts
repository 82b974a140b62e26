import { isUtf8 } from 'node:buffer';
import type { ChannelSnapshot, Connection, JoinRequest, WorkerContext } from '@roost/farm';
import type { Answers } from './answers.ts';
import { isRecorded, userIdOf } from './apps.ts';
import type { PusherApp } from './apps.ts';
import { cacheMiss, encodeEvent, subscriptionSucceeded } from './codec.ts';
import type { ClientMessage } from './codec.ts';
import type { SubscriptionErrorName } from './errors.ts';
import { readChannelData } from './member.ts';
import type { Identity } from './member.ts';
import { channelProblem, kindOf, USER_CHANNEL_PREFIX } from './names.ts';
import type { ChannelKind } from './names.ts';
import { isAuthorized, setAuthorized, userInfoOf } from './session.ts';
import { isChannelSignature } from './signatures.ts';

export type SubscribeMessage = Extract<ClientMessage, { type: 'subscribe' }>;

/** Why a subscription is refused. */
interface Refusal {
  readonly error: SubscriptionErrorName;
  readonly detail?: string;
}

/** Channels that a connection is joining, by their names for clients: as many as it may be subscribed to. */
type Joins = Map<string, { next: SubscribeMessage | undefined; isLeft: boolean }>;

type SubscriberContext = Pick<WorkerContext, 'channelNameProblem' | 'join' | 'recordEvent'>;

/** What a connection may see is what it subscribes to here: names, signatures, members and limits are checked. */
export class Subscriber {
  readonly #context: SubscriberContext;
  readonly #answers: Answers;
  readonly #maxChannelCharacters: number;
  /** By the id of the connection. Empty where no broker has to be waited for. */
  readonly #joins = new Map<string, Joins>();

  constructor(context: SubscriberContext, answers: Answers, maxChannelCharacters: number) {
    this.#context = context;
    this.#answers = answers;
    this.#maxChannelCharacters = maxChannelCharacters;
  }

  subscribe(connection: Connection, app: PusherApp, message: SubscribeMessage): void | Promise<void> {
    const { channel } = message;
    const name = app.channelPrefix + channel;
    const problem =
      channelProblem(channel, this.#maxChannelCharacters) ??
      (this.#context.channelNameProblem(name) === undefined ? undefined : 'is too long');
    if (problem !== undefined) {
      return this.#answers.refuseSubscription(connection, channel, 'invalidName', `it ${problem}`);
    }
    const join = this.#joins.get(connection.id)?.get(channel);
    if (join?.isLeft === true) {
      // It is on its way out: what was asked for last counts.
      join.next = message;
      return undefined;
    }
    if (join !== undefined || connection.isSubscribed(name))
      return this.#answers.refuse(connection, 'duplicate');
    const kind = kindOf(channel);
    const checked = check(connection, app, message, kind);
    if ('error' in checked) {
      return this.#answers.refuseSubscription(connection, channel, checked.error, checked.detail);
    }
    if (kind.access !== 'public') authorize(connection);
    const { member } = checked;
    return this.#join(connection, app, message, {
      channel: name,
      lastEvent: kind.isCache,
      ...(member !== undefined && { member: { ...member, maxMembers: app.maxPresenceMembers } }),
      welcome: (snapshot) => this.#welcome(app, channel, kind, snapshot),
    });
  }

  /** No answer, whether it was subscribed or not. */
  unsubscribe(connection: Connection, app: PusherApp, channel: string): void {
    // What no client can subscribe to is the server's own: by it the connection is counted.
    if (channelProblem(channel, this.#maxChannelCharacters) !== undefined) return;
    const join = this.#joins.get(connection.id)?.get(channel);
    if (join !== undefined) {
      join.isLeft = true;
      join.next = undefined;
    }
    connection.unsubscribe(app.channelPrefix + channel);
  }

  async #join(
    connection: Connection,
    app: PusherApp,
    message: SubscribeMessage,
    request: JoinRequest,
  ): Promise<void> {
    // Both are gone with the connection.
    const { id } = connection;
    const { channel } = message;
    const joins = this.#joins.get(id) ?? new Map();
    this.#joins.set(id, joins);
    const join = { next: undefined, isLeft: false };
    joins.set(channel, join);
    try {
      const outcome = await this.#context.join(connection, request);
      if (outcome === 'joined') this.#answers.count('app_pusher_subscriptions');
      else if (outcome === 'full') this.#answers.refuseSubscription(connection, channel, 'full');
    } catch (error) {
      this.#refuseFailed(connection, channel, error);
    } finally {
      joins.delete(channel);
      if (joins.size === 0) this.#joins.delete(id);
    }
    if (join.next !== undefined && connection.isOpen) await this.subscribe(connection, app, join.next);
  }

  /**
   * A client whose subscription failed does not try it again: pusher-js waits for an answer for ever. So it must connect
   * again, later, where the broker did not answer.
   */
  #refuseFailed(connection: Connection, channel: string, error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'FARM_ERR_TOO_MANY_SUBSCRIPTIONS') {
      this.#answers.refuseSubscription(connection, channel, 'tooManyChannels');
    } else if (!code.startsWith('BROKER_')) throw error;
    // Gone since, or closed because of another of its subscriptions.
    else if (connection.isOpen) this.#answers.close(connection, 'notSubscribed');
  }

  #welcome(app: PusherApp, channel: string, kind: ChannelKind, snapshot: ChannelSnapshot): readonly string[] {
    const succeeded = subscriptionSucceeded(
      channel,
      kind.access === 'presence' ? snapshot.members : undefined,
    );
    if (!kind.isCache) return [succeeded];
    return [succeeded, this.#lastEvent(app, channel, snapshot)];
  }

  #lastEvent(app: PusherApp, channel: string, { lastEvent }: ChannelSnapshot): string {
    if (lastEvent !== undefined) {
      const { event, payload } = lastEvent;
      const kept = encodeEvent(channel, { kind: 'publication', event, payload, isText: isUtf8(payload) });
      if (kept !== undefined) return kept;
    }
    this.#answers.count('app_pusher_cache_misses');
    if (isRecorded(app, 'cache_miss')) {
      const event = { type: 'cache_miss', channel: app.channelPrefix + channel } as const;
      // That webhooks will not tell of it is the store's to count.
      this.#context.recordEvent(event).catch(() => undefined);
    }
    return cacheMiss(channel);
  }
}

/** Who subscribes, where that matters, or why it may not. */
function check(
  connection: Connection,
  app: PusherApp,
  { channel, auth, channelData }: SubscribeMessage,
  { access }: ChannelKind,
): { readonly member: Identity | undefined } | Refusal {
  if (access === 'public') return { member: undefined };
  if (access === 'user') {
    const isOwn = userIdOf(app, connection.user) === channel.slice(USER_CHANNEL_PREFIX.length);
    return isOwn ? { member: undefined } : { error: 'otherUser' };
  }
  if (!isChannelSignature(app, auth, { socketId: connection.id, channel, channelData })) {
    return { error: 'wrongSignature' };
  }
  if (access === 'private') return { member: undefined };
  const identity = channelData === undefined ? signedIn(connection, app) : readChannelData(channelData);
  if ('problem' in identity) return { error: 'invalidMember', detail: identity.problem };
  if (Buffer.byteLength(identity.info) > app.maxMemberInfoBytes) return { error: 'tooMuchInfo' };
  return { member: identity };
}

/** A signed-in connection is a member as its user, without channel data. */
function signedIn(connection: Connection, app: PusherApp): Identity | { readonly problem: string } {
  const user = userIdOf(app, connection.user);
  if (user === undefined) return { problem: 'it is missing, and the connection is not signed in' };
  const { session } = connection;
  return { user, info: session === undefined ? '' : userInfoOf(session) };
}

/** The connection has shown that it may be here. */
export function authorize(connection: Connection): void {
  const { session } = connection;
  if (session === undefined || isAuthorized(session)) return;
  setAuthorized(session);
  connection.expiresAt = undefined;
}
