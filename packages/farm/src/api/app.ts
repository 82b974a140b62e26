import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ChannelEvent } from './channel-events.ts';
import type { ChannelPublication, PublishOptions } from './channel-publication.ts';
import type { Connection, MessageData } from './connection.ts';
import type { TokenReason } from './counters.ts';
import type { FarmChannels, FarmInfo, Readiness } from './info.ts';
import type { Log } from './log.ts';
import type {
  ChannelCounts,
  ChannelSnapshot,
  JoinOutcome,
  JoinRequest,
  LastEvent,
  Member,
} from './presence.ts';

/** A client asking to become a connection: its parsed request head, and its address. */
export interface UpgradeRequest {
  /** Path and query as the client sent them, e.g. `/chat?room=7`. */
  readonly url: string;
  /** The path alone, not decoded. */
  readonly path: string;
  /** The query, parsed when first read. */
  readonly query: URLSearchParams;
  /** Lower-case names; repeated ones joined as Node does. */
  readonly headers: Readonly<Record<string, string>>;
  /** Subprotocols the client offered, in its order. */
  readonly protocols: readonly string[];
  /**
   * Numeric address of the client, IPv4 without the `::ffff:` prefix: the TCP peer's, or what a trusted proxy said
   * (`trustedProxies`).
   */
  readonly remoteAddress: string;
  /** Aborts when the client goes away while an asynchronous hook is still deciding. */
  readonly signal: AbortSignal;
  /**
   * What the client's token says, when the server verifies tokens and was shown one; undefined for a client without. The
   * token itself is then gone from the URL, the headers and the protocols.
   */
  readonly claims: TokenClaims | undefined;
}

/** The payload of a verified JWT (RFC 7519 §4.1). The types of other claims are unchecked. */
export interface TokenClaims {
  /** The user. */
  readonly sub?: string | undefined;
  /** When it expires, in seconds since the epoch. */
  readonly exp?: number | undefined;
  /** Globs of the channels that the client may subscribe to. */
  readonly channels?: readonly string[] | undefined;
  /** Globs of the channels that the client may publish to. */
  readonly publish?: readonly string[] | undefined;
  readonly [claim: string]: unknown;
}

/** What {@link accept} takes beside the attachment. */
export interface AcceptOptions {
  /** Channels that are subscribed before the 101 is sent; names of 1 to 255 bytes. Default: none. */
  readonly channels?: readonly string[] | undefined;
  /** One of the subprotocols that the client offered. Default: none. */
  readonly protocol?: string | undefined;
  /** When the connection is closed with 4003, in seconds since the epoch. Default: never. */
  readonly expiresAt?: number | undefined;
  /** See {@link Connection.session}: 1 to 16,384 bytes, which are copied. Default: none. */
  readonly session?: Uint8Array | undefined;
  /** See {@link Connection.user}: 1 to 256 characters. Default: none. */
  readonly user?: string | undefined;
  /** Added to the 101; those of the handshake itself cannot be set. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** The answer that lets a client in; made by {@link accept}. */
export interface Acceptance<Attachment = unknown> extends AcceptOptions {
  /** Tells it from a {@link Rejection}. */
  readonly kind: 'accept';
  /** See {@link Connection.attachment}. Default: undefined. */
  readonly attachment?: Attachment;
}

/** The answer that refuses a client before the upgrade; made by {@link reject}. */
export interface Rejection {
  /** Tells it from an {@link Acceptance}. */
  readonly kind: 'reject';
  /** HTTP status, 400 to 599. */
  readonly status: number;
  /** The body of the answer, as text. */
  readonly reason: string;
  /** Added to the answer. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** `undefined` passes the request on to the next app of the list; when no app answers, the client gets 404. */
export type UpgradeDecision<Attachment = unknown> = Acceptance<Attachment> | Rejection | undefined;

/**
 * The type of {@link Connection.attachment} in the hooks behind `upgrade`. Where that attaches nothing, a later hook may set
 * an attachment of any type.
 */
export type HookAttachment<Attachment> = [Attachment] extends [undefined]
  ? // Any extends everything, and stays what it is.
    [Attachment & 1] extends [never]
    ? unknown
    : Attachment
  : Attachment;

/** A message that is answered without the application; see {@link App.replies}. */
export interface Reply {
  /** The text, compared byte for byte: 1 to 125 bytes of UTF-8. */
  readonly message: string;
  /** The text that answers it, 1 to 125 bytes of UTF-8. Default: no answer, the message is only a sign of life. */
  readonly reply?: string;
}

/** What replaces a close code of the farm's; see {@link App.closeCodes}. */
export interface CloseReplacement {
  /** 1000 to 1003, 1007 to 1014 or 3000 to 4999. */
  readonly code: number;
  /** At most 123 bytes of UTF-8. Default: the farm's own reason. */
  readonly reason?: string;
}

/** Where a connection has come from; see {@link App.moved}. */
export interface MovedFrom {
  /** {@link App.version} there; undefined where it said none. */
  readonly version: string | undefined;
  /** `reload`: that process is replaced by this one. `rebalance`: it had more connections, or gives all away and ends. */
  readonly reason: 'reload' | 'rebalance';
}

/** How many clients may be asked to come back at once; see {@link App.returnAtOnce}. */
export interface ReturnAtOnce extends CloseReplacement {
  /** Connections a second, of the whole farm: more than 0, at most 1,000,000. */
  readonly perSecond: number;
}

/**
 * What an application does with its connections. Every hook is optional, may be asynchronous, and is guarded: when it
 * throws or rejects, that one connection is closed with 1011 (an upgrade is refused with 500), counted and logged.
 *
 * The order for one connection is upgrade, open, message or writable any number of times, close. `close` is called
 * exactly once for each `open`. When the connection moves to another process of the farm, `handover` is the last hook there, and
 * `moved` the first here.
 *
 * `Attachment` is the type of what `upgrade` attaches to a connection, and of {@link Connection.attachment} in the other
 * hooks; {@link defineApp} infers it.
 */
export interface App<Attachment = unknown> {
  /** For logs; and by it the app is known when its connections move to another process. Default `app`. */
  readonly name?: string;
  /** Of the app's code, for logs, reloads, and {@link moved} hooks of other versions. Default: none. */
  readonly version?: string;
  /**
   * The form in which this app's connections get publications. Called once for each publication in a worker, however many
   * of the channel's subscribers are this app's, when the first of them is about to be sent it. A string is sent as text,
   * bytes as binary; undefined sends them nothing, and so does an error, which is counted and logged. It must be quick, and
   * may not be asynchronous. Default: the payload, as text when it is valid UTF-8, and nothing of kinds other than
   * `publication`. At most 7 apps of a farm have one.
   */
  encode?(publication: ChannelPublication): string | Uint8Array | undefined;
  /**
   * Text messages that are answered with a constant, or only noted as a sign of life: neither is the connection woken nor
   * the message hook called. They count as messages, also against `messageRate`. At most 4. Default: none.
   */
  readonly replies?: readonly Reply[];
  /**
   * A text that is sent in place of a WebSocket ping to a client that was silent for `heartbeatMs`, 1 to 125 bytes of UTF-8.
   * Whatever the client sends is a sign of life. Default: pings.
   */
  readonly heartbeat?: string;
  /**
   * Codes, and reasons, in place of those with which the farm itself closes connections of this app, by the farm's code
   * (see CLOSE_CODES). Codes that the app gives to close() stay. 1006: sent as a close frame before a connection is ended that
   * did not answer a heartbeat. Default: the farm's own.
   */
  readonly closeCodes?: Readonly<Record<number, CloseReplacement>>;
  /**
   * A drain closes so many of this app's connections with this code, for clients that then come back without a pause, and
   * all others with 1001 (or what closeCodes has for it), for clients that wait. Bounded, since whoever comes back at once
   * comes with all the others. Default: none, all get 1001.
   */
  readonly returnAtOnce?: ReturnAtOnce;
  /**
   * Whether the subscriptions of this app's connections, and their users, are counted over all workers and farms: see
   * {@link WorkerContext.channelStates} and {@link WorkerContext.countUser}. Default false, for it costs a message to the broker
   * when the first and the last connection of a worker come to a channel, and at most one a second in between.
   */
  readonly occupancy?: boolean;
  /**
   * With `occupancy`: whether the subscribers of the channel are sent a publication of kind `count` whenever their number
   * changes. It must be quick: it is called for each subscription. Default: no.
   */
  tellsCount?(channel: string): boolean;
  /**
   * With `encode`: what subscribers of a channel that has members here (see {@link JoinRequest.member}) are sent when joins and
   * leaves may have been missed, because the broker was away or this worker was too slow: what is known of it now, in its place
   * among the publications. Called once for all of them; undefined sends nothing. Default: nothing.
   */
  resync?(channel: string, snapshot: ChannelSnapshot): string | Uint8Array | undefined;
  /** Lets a client in or refuses it. Bounded by `upgradeTimeoutMs` (503) and `maxHandshakes`. Default: pass. */
  upgrade?(request: UpgradeRequest): UpgradeDecision<Attachment> | Promise<UpgradeDecision<Attachment>>;
  /** The client has its 101 and every channel of the acceptance is subscribed. */
  open?(connection: Connection<HookAttachment<Attachment>>): void | Promise<void>;
  /** One whole message. `data` belongs to the callee (with `borrowMessages` it is valid until the hook returns). */
  message?(
    connection: Connection<HookAttachment<Attachment>>,
    data: Buffer,
    isBinary: boolean,
  ): void | Promise<void>;
  /** The outbound queue, which had begun because the client read slowly, is empty again. */
  writable?(connection: Connection<HookAttachment<Attachment>>): void | Promise<void>;
  /** The connection is gone. `code` as in RFC 6455 §7.1.5: 1006 when no close frame came. */
  close?(
    connection: Connection<HookAttachment<Attachment>>,
    code: number,
    reason: string,
  ): void | Promise<void>;
  /**
   * The connection is about to leave this process, because that is replaced, or has more than others (see {@link moved}): the last
   * chance to put into the attachment or the session what must survive. It is synchronous and should be quick, for clients wait
   * meanwhile. What it throws is counted and logged, and the connection leaves all the same, but not with an attachment that cannot
   * be serialised, as one into which a function was put since it was set: with that it stays, and a reload stops
   * (`moves_left_attachment`). It may also be called when the
   * connection then stays. From here on its `send` and `close` are carried out where it goes; `subscribe` answers false.
   */
  handover?(connection: Connection<HookAttachment<Attachment>>): void;
  /**
   * The connection has come from another process of the farm: called in place of `open`, before any message. Its client
   * notices nothing. The same are its id, address, attachment, session, user, channels, memberships, deadline, and what waited to be
   * sent; closures, timers and what is in memory are not. Who keeps connections in a Map fills it here as well as in `open`.
   * `close` is called once, wherever the connection ends. Code of a new version may meet attachments of the old one.
   */
  moved?(connection: Connection<HookAttachment<Attachment>>, from: MovedFrom): void | Promise<void>;
  /**
   * A request that is not an upgrade. `false` (not a promise of it) passes it on; when no app takes it: 404.
   * `request.socket.remoteAddress` is the client's as far as the connection knows it: a PROXY header counts, but
   * `X-Forwarded-For` may differ from request to request and is left to the hook.
   */
  http?(request: IncomingMessage, response: ServerResponse): boolean | void | Promise<void>;
  /** The worker stops; runs after its connections have ended. Bounded by `stopTimeoutMs`. */
  stop?(): void | Promise<void>;
}

/** How connections are closed by {@link WorkerContext.disconnectUser}. */
export interface DisconnectOptions {
  /** 1000 to 1003, 1007 to 1014 or 3000 to 4999; default 4500. */
  readonly code?: number | undefined;
  /** At most 123 bytes of UTF-8. Default: none. */
  readonly reason?: string | undefined;
}

/** What a worker offers to the applications that it runs. */
export interface WorkerContext {
  /** Index of this worker, from 0. A restarted worker keeps its index. */
  readonly worker: number;
  /** `appOptions` of {@link FarmOptions}, as structured data. */
  readonly options: unknown;
  /** Writes to the log of the farm, at most 50 lines per second and worker. */
  readonly log: Log;
  /** As {@link Connection.publish}. */
  publish<Data>(
    channel: string,
    data: MessageData<Data, 'publish() takes a string or bytes; use JSON.stringify(value)'>,
    options?: PublishOptions,
  ): Promise<void>;
  /**
   * Sends one message to every connection of a user (see {@link Connection.user}), on all workers and farms, whatever their
   * apps: a string as text, bytes as binary. Resolves when it is on its way, and says nothing of its receivers. Rejects with a
   * BrokerError, and with a RangeError for what can be no user; ignoring the promise is safe.
   */
  sendToUser<Data>(
    user: string,
    data: MessageData<Data, 'sendToUser() takes a string or bytes; use JSON.stringify(value)'>,
  ): Promise<void>;
  /** Closes every connection of a user, on all workers and farms. Resolves and rejects as {@link sendToUser}. */
  disconnectUser(user: string, options?: DisconnectOptions): Promise<void>;
  /**
   * Subscribes a connection to a channel, and sends it a welcome made of what is known of the channel: everything that is
   * published afterwards follows it, nothing from before does, and no change is missed or told twice. With a member, the
   * connection's user is in the channel until its last connection has left. Rejects with FARM_ERR_CHANNEL_NAME,
   * FARM_ERR_TOO_MANY_SUBSCRIPTIONS, with a BrokerError, and with what the welcome throws; then it is not subscribed.
   */
  join(connection: Connection, request: JoinRequest): Promise<JoinOutcome>;
  /** How many are in these channels, on all workers and farms; in their order. Rejects with a BrokerError. */
  channelStates(channels: readonly string[]): Promise<readonly ChannelCounts[]>;
  /** Members of a channel on all workers and farms, at most `limit`, from 1; in no particular order. Rejects with a BrokerError. */
  channelMembers(channel: string, limit: number): Promise<readonly Member[]>;
  /** The last event that was kept for a channel (`keepMs` of {@link PublishOptions}). Rejects with a BrokerError. */
  lastEvent(channel: string): Promise<LastEvent | undefined>;
  /**
   * Channels with counted subscribers (see {@link App.occupancy}) whose names begin so, on all workers and farms, in no
   * particular order; at most `limit`, from 1: any of them. Rejects with a BrokerError.
   */
  occupiedChannels(prefix: string, limit: number): Promise<readonly string[]>;
  /** How many counted connections the user has, on all workers and farms. Rejects with a BrokerError. */
  countUser(user: string): Promise<number>;
  /** Records an event for {@link Farm.channelEvents}, if the farm records its type. Rejects with a BrokerError. */
  recordEvent(event: ChannelEvent): Promise<void>;
  /** Figures of the whole farm, whichever worker asks. Rejects with FARM_ERR_QUERY when the master does not answer. */
  info(): Promise<FarmInfo>;
  /**
   * Channels with subscribers on any worker of this farm; `pattern` is a glob with `*` and `?`. Tells which workers did
   * not answer. Rejects as {@link info} does, and with a TypeError for a pattern that is no string. Default: all channels.
   */
  channels(pattern?: string): Promise<FarmChannels>;
  /** Whether the whole farm can serve, as the master last said. */
  readiness(): Readiness;
  /** Why `name` cannot be a channel of this farm (see `maxChannelBytes`), or undefined when it can. */
  readonly channelNameProblem: (name: string) => string | undefined;
  /**
   * Adds one to a counter that the application declares under `app_…`, or, for code that verifies tokens, to one of those
   * for their outcomes; shown in {@link FarmInfo.counters}.
   */
  count(name: `app_${string}` | TokenReason): void;
}

/**
 * What an application module exports: an app, several that are asked in order, or a function that makes them in each
 * worker. Those of a list may have attachments of different types.
 */
export type AppModule<Attachment = unknown> =
  | App<Attachment>
  | readonly App[]
  | ((
      context: WorkerContext,
    ) => App<Attachment> | readonly App[] | Promise<App<Attachment> | readonly App[]>);

/**
 * Gives an application its types; the value is returned as it is. Use it as the default export of the app's module.
 *
 * The type of the attachment is what `upgrade` gives to {@link accept}, if `upgrade` is the first hook (and, in a factory,
 * takes its parameter); or it is named, `defineApp<Member>({ … })`, and then `accept()` must be given a `Member`. Else it is
 * unknown.
 *
 * It takes the app itself, and not in a second call (`defineApp<Member>()({ … })`): as its only type parameter is the
 * attachment, nothing else has to be inferred beside a named one. So JavaScript, which cannot name types, has them all
 * the same, and an error is told at the hook that is wrong.
 */
export function defineApp<Attachment = unknown>(app: App<Attachment> & NotCallable): App<Attachment>;
// The form of all modules comes last, for it is the one whose errors are told.
/** The same for every form of a module: a factory or a list, too. */
export function defineApp<Attachment = unknown>(module: AppModule<Attachment>): AppModule<Attachment>;
export function defineApp<Attachment>(module: AppModule<Attachment>): AppModule<Attachment> {
  return module;
}

/** Functions have a name, as apps may have: without this a factory would be taken for an app. */
interface NotCallable {
  readonly call?: never;
}

/**
 * Lets the client in.
 *
 * `channels` are subscribed and confirmed before the 101 is sent: a client with the 101 misses nothing from then on.
 * `protocol` must be one that the client offered. `attachment` is structured-cloneable data of at most 16 KB, no
 * closures: it lives as long as the connection and is the one object that an idle connection may own. At `expiresAt`, in
 * seconds since the epoch as the `exp` of a token, the connection is closed with 4003, at most a second late.
 */
export function accept(options?: AcceptOptions & { readonly attachment?: undefined }): Acceptance<undefined>;
/** Lets the client in with an attachment, whose type the other hooks of the app know by {@link defineApp}. */
export function accept<Attachment>(
  options: AcceptOptions & { readonly attachment: Attachment },
): Acceptance<Attachment>;
export function accept(options: Omit<Acceptance, 'kind'> = {}): Acceptance {
  const { channels, protocol, headers, attachment, expiresAt, session, user } = options;
  // One shape for all, whatever is left out: code that V8 has compiled for it fits every app.
  return { kind: 'accept', channels, protocol, headers, attachment, expiresAt, session, user };
}

/**
 * Refuses the client with an HTTP status of 400 to 599; `reason` becomes the body, `headers` are added to the answer. An
 * upgrade hook that returns another status is a hook that throws: the client gets 500.
 */
export function reject(
  status: number,
  reason: string,
  headers?: Readonly<Record<string, string>>,
): Rejection {
  return headers === undefined
    ? { kind: 'reject', status, reason }
    : { kind: 'reject', status, reason, headers };
}
