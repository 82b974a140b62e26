/** What workers need of the configuration: the dialect is served when there is one. */
export interface PusherOptions {
  readonly apps: readonly PusherAppOptions[];
  /** May stand before every path: `/ws`; empty for none. */
  readonly pathPrefix: string;
  readonly activityTimeoutSeconds: number;
  /** Of the whole farm; 0: none. */
  readonly drainReturnsPerSecond: number;
  readonly maxChannelCharacters: number;
}

/** One app. Only workers know its secret, and the master where it has webhooks. */
export interface PusherAppOptions {
  readonly id: string;
  readonly key: string;
  readonly secret: string;
  readonly isEnabled: boolean;
  /** Its channels have the same names in the broker; those of the others begin with the id and a slash. */
  readonly isDefault: boolean;
  readonly clientEvents: boolean;
  readonly subscriptionCount: boolean;
  /** Null: a connection need not show a signature. */
  readonly authorizationTimeoutMs: number | null;
  /** 0: no limit. */
  readonly maxConnections: number;
  readonly maxPresenceMembers: number;
  readonly maxMemberInfoBytes: number;
  readonly maxEventBytes: number;
  readonly maxClientEventBytes: number;
  /** Per second and connection, and as many at once after a pause. */
  readonly clientEventRate: number;
  readonly cacheMs: number;
  readonly webhooks: readonly WebhookOptions[];
}

/** Where events of an app are sent to. */
export interface WebhookOptions {
  readonly url: string;
  /** None: all. */
  readonly eventTypes: readonly string[];
  /** Empty: any. */
  readonly channelNameStartsWith: string;
  readonly channelNameEndsWith: string;
  readonly headers: Readonly<Record<string, string>>;
}
