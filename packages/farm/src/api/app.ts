import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connection } from './connection.ts';
import type { TokenReason } from './counters.ts';
import type { FarmChannels, FarmInfo, Readiness } from './info.ts';
import type { Log } from './log.ts';

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

/** The answer that lets a client in; made by {@link accept}. */
export interface Acceptance {
  readonly kind: 'accept';
  readonly attachment?: unknown;
  readonly protocol?: string;
  readonly channels?: readonly string[];
  readonly expiresAt?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer that refuses a client before the upgrade; made by {@link reject}. */
export interface Rejection {
  readonly kind: 'reject';
  readonly status: number;
  readonly reason: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `undefined` passes the request on to the next app of the list; when no app answers, the client gets 404. */
export type UpgradeDecision = Acceptance | Rejection | undefined;

/**
 * What an application does with its connections. Every hook is optional, may be asynchronous, and is guarded: when it
 * throws or rejects, that one connection is closed with 1011 (an upgrade is refused with 500), counted and logged.
 *
 * The order for one connection is upgrade, open, message or writable any number of times, close. `close` is called
 * exactly once for each `open`.
 */
export interface App {
  /** For logs. Default `app`. */
  readonly name?: string;
  /** Lets a client in or refuses it. Bounded by `upgradeTimeoutMs` (503) and `maxHandshakes`. Default: pass. */
  upgrade?(request: UpgradeRequest): UpgradeDecision | Promise<UpgradeDecision>;
  /** The client has its 101 and every channel of the acceptance is subscribed. */
  open?(connection: Connection): void | Promise<void>;
  /** One whole message. `data` belongs to the callee (with `borrowMessages` it is valid until the hook returns). */
  message?(connection: Connection, data: Buffer, isBinary: boolean): void | Promise<void>;
  /** The outbound queue, which had begun because the client read slowly, is empty again. */
  writable?(connection: Connection): void | Promise<void>;
  /** The connection is gone. `code` as in RFC 6455 §7.1.5: 1006 when no close frame came. */
  close?(connection: Connection, code: number, reason: string): void | Promise<void>;
  /**
   * A request that is not an upgrade. `false` (not a promise of it) passes it on; when no app takes it: 404.
   * `request.socket.remoteAddress` is the client's as far as the connection knows it: a PROXY header counts, but
   * `X-Forwarded-For` may differ from request to request and is left to the hook.
   */
  http?(request: IncomingMessage, response: ServerResponse): boolean | void | Promise<void>;
  /** The worker stops; runs after its connections have ended. Bounded by `stopTimeoutMs`. */
  stop?(): void | Promise<void>;
}

/** What a worker offers to the applications that it runs. */
export interface WorkerContext {
  /** Index of this worker, from 0. A restarted worker keeps its index. */
  readonly worker: number;
  /** `appOptions` of {@link FarmOptions}, as structured data. */
  readonly options: unknown;
  readonly log: Log;
  /** As {@link Connection.publish}. */
  publish(channel: string, data: string | Uint8Array): Promise<void>;
  /** Figures of the whole farm, whichever worker asks. Rejects with FARM_ERR_QUERY when the master does not answer. */
  info(): Promise<FarmInfo>;
  /**
   * Channels with subscribers on any worker of this farm; `pattern` is a glob with `*` and `?`. Tells which workers did
   * not answer. Rejects as {@link info} does.
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

/** What an application module exports: an app, or a function that makes one (or several) in each worker. */
export type AppModule =
  | App
  | readonly App[]
  | ((context: WorkerContext) => App | readonly App[] | Promise<App | readonly App[]>);

/** Gives an application its types; the value is returned as it is. Use it as the default export of the app's module. */
export function defineApp<const Module extends AppModule>(module: Module): Module {
  return module;
}

/**
 * Lets the client in.
 *
 * `channels` are subscribed and confirmed before the 101 is sent: a client with the 101 misses nothing from then on.
 * `protocol` must be one that the client offered. `attachment` is structured-cloneable data of at most 16 KB, no
 * closures: it lives as long as the connection and is the one object that an idle connection may own. At `expiresAt`, in
 * seconds since the epoch as the `exp` of a token, the connection is closed with 4003, at most a second late.
 */
export function accept(options: Omit<Acceptance, 'kind'> = {}): Acceptance {
  return { kind: 'accept', ...options };
}

/** Refuses the client with an HTTP status of 400 to 599; `reason` becomes the body. */
export function reject(
  status: number,
  reason: string,
  headers?: Readonly<Record<string, string>>,
): Rejection {
  return headers === undefined
    ? { kind: 'reject', status, reason }
    : { kind: 'reject', status, reason, headers };
}
