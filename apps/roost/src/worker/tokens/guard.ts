import { CloseCode, reject } from '@roost/farm';
import type { App, TokenClaims, UpgradeDecision, UpgradeRequest, WorkerContext } from '@roost/farm';
import type { PlainAccess } from '../dialects/plain/app.ts';
import type { TokenOptions } from '../options.ts';
import { quote } from '../quote.ts';
import { ChannelRules, isCovered } from './channel-rules.ts';
import { refusal } from './refusals.ts';
import type { TokenRefusal } from './refusals.ts';
import { shownTokens, VerifiedRequest } from './shown-token.ts';
import { TokenVerifier } from './verifier.ts';

/** The guard of a worker. */
export function tokenGuard(options: TokenOptions, context: WorkerContext): TokenGuard {
  return new TokenGuard(options, new TokenVerifier(options, context.log), (name) => context.count(name));
}

/**
 * Stands before the apps. {@link app}, the first of the list, verifies the token of a request: a bad one is refused there,
 * whatever it asks for. The apps that {@link guard} wraps are then given the request with the token's claims, or, where
 * they want to be asked, one without a token as it came; their connections end when the token does.
 *
 * A request with a token always waits a moment: it counts against `maxHandshakes`, and `upgradeTimeoutMs` bounds its wait,
 * that for keys from a URL included.
 */
export class TokenGuard {
  /** To be asked first. */
  readonly app: App = { name: 'tokens', upgrade: (request) => this.#verifyShown(request) };
  readonly #options: TokenOptions;
  readonly #verifier: TokenVerifier;
  readonly #rules: ChannelRules;
  readonly #count: WorkerContext['count'];
  /** What the app made of the requests that are being decided. */
  readonly #verified = new WeakMap<UpgradeRequest, VerifiedRequest>();

  constructor(options: TokenOptions, verifier: TokenVerifier, count: WorkerContext['count']) {
    this.#options = options;
    this.#verifier = verifier;
    this.#count = count;
    this.#rules = new ChannelRules(options.publicChannels);
  }

  /** The rules of /plain. */
  readonly access: PlainAccess = {
    refusal: (channels, claims) => {
      const closed = this.#rules.firstClosed(channels, claims);
      if (closed === undefined) return undefined;
      if (claims === undefined) return this.#refuse('token_missing');
      return this.#refuse('token_channel', `The token does not cover the channel ${quote(closed)}.`);
    },
    publishable: (channels, patterns) => channels.filter((channel) => isCovered(channel, patterns)),
    refuseMessage: (connection) => {
      this.#count('token_publish');
      connection.close(CloseCode.messageNotAccepted, 'your token does not let you publish here');
    },
  };

  /** The app behind the guard. `asksAnonymous`: it decides itself about clients without a token. */
  guard(app: App, asksAnonymous = this.#options.allowAnonymous): App {
    return {
      name: app.name ?? 'app',
      upgrade: (request) => this.#decide(app, request, asksAnonymous),
      ...(app.open && { open: app.open.bind(app) }),
      ...(app.message && { message: app.message.bind(app) }),
      ...(app.writable && { writable: app.writable.bind(app) }),
      ...(app.version !== undefined && { version: app.version }),
      ...(app.handover && { handover: app.handover.bind(app) }),
      ...(app.moved && { moved: app.moved.bind(app) }),
      ...(app.close && { close: app.close.bind(app) }),
      ...(app.http && { http: app.http.bind(app) }),
      ...(app.stop && { stop: app.stop.bind(app) }),
      ...(app.encode && { encode: app.encode.bind(app) }),
      ...(app.replies && { replies: app.replies }),
      ...(app.heartbeat !== undefined && { heartbeat: app.heartbeat }),
      ...(app.closeCodes && { closeCodes: app.closeCodes }),
      ...(app.returnAtOnce && { returnAtOnce: app.returnAtOnce }),
      ...(app.occupancy !== undefined && { occupancy: app.occupancy }),
      ...(app.tellsCount && { tellsCount: app.tellsCount.bind(app) }),
      ...(app.resync && { resync: app.resync.bind(app) }),
    };
  }

  /** Refuses, and counts it. */
  #refuse(code: TokenRefusal, message?: string): UpgradeDecision {
    this.#count(code);
    return refusal(code, message);
  }

  #verifyShown(request: UpgradeRequest): UpgradeDecision | Promise<UpgradeDecision> {
    const [token, ...others] = shownTokens(request);
    if (token === undefined) return undefined;
    return others.length === 0 ? this.#verify(request, token) : this.#refuse('token_repeated');
  }

  async #verify(request: UpgradeRequest, token: string): Promise<UpgradeDecision> {
    // Asked for before it may abort.
    const { signal } = request;
    const result = await this.#verifier.verify(token);
    // The client has gone, or was refused for another reason that was counted: no client gets this, and no app is asked.
    if (signal.aborted) return reject(503, 'The upgrade has ended.');
    if (typeof result === 'string') return this.#refuse(result);
    this.#verified.set(request, new VerifiedRequest(request, result));
    return undefined;
  }

  #decide(
    app: App,
    request: UpgradeRequest,
    asksAnonymous: boolean,
  ): UpgradeDecision | Promise<UpgradeDecision> {
    const verified = this.#verified.get(request);
    if (verified !== undefined) return this.#decideVerified(app, verified);
    return asksAnonymous ? app.upgrade?.(request) : this.#refuse('token_missing');
  }

  /** As the app does; an acceptance with the end of the token, and with a protocol when the client needs one. */
  async #decideVerified(app: App, request: VerifiedRequest): Promise<UpgradeDecision> {
    const { claims, defaultProtocol } = request;
    const decision = await app.upgrade?.(request);
    if (decision?.kind !== 'accept') return decision;
    const protocol = decision.protocol ?? defaultProtocol;
    const expiresAt = earlier(decision.expiresAt, this.#endOf(claims));
    return {
      ...decision,
      ...(protocol === undefined ? {} : { protocol }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
  }

  #endOf({ exp }: TokenClaims): number | undefined {
    return exp === undefined ? undefined : exp + this.#options.clockToleranceSeconds;
  }
}

function earlier(first: number | undefined, second: number | undefined): number | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return Math.min(first, second);
}
