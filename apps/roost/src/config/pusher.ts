import type { PusherAppOptions, PusherOptions, WebhookOptions } from '../worker/dialects/pusher/options.ts';
import { ConfigError } from './errors.ts';
import type { OptionRecord, OptionValue } from './option.ts';
import type { OptionKey, Settings } from './options.ts';
import { APP_OPTIONS } from './pusher-options.ts';

/** The three that make one app without a file. */
const SINGLE_APP_KEYS = ['pusher.appId', 'pusher.appKey', 'pusher.appSecret'] as const;

/** Part of heartbeatMs after which clients are to ping: then they always do before the server does. */
const ACTIVITY_SHARE = 5 / 6;

/** The options of the Pusher dialect as workers take them; null without an app. */
export function pusherOptions(settings: Settings): PusherOptions | null {
  const apps = appsOf(settings);
  if (apps.length === 0) return null;
  return {
    apps,
    pathPrefix: settings['pusher.pathPrefix'] ?? '',
    activityTimeoutSeconds:
      settings['pusher.activityTimeoutSeconds'] ??
      Math.max(1, Math.floor((settings.heartbeatMs * ACTIVITY_SHARE) / 1000)),
    drainReturnsPerSecond: settings['pusher.drainReturnsPerSecond'],
    maxChannelCharacters: settings['pusher.maxChannelCharacters'],
  };
}

/**
 * What no option by itself can be wrong in: an app has all that it needs, and an id and a key of its own. Throws a
 * ConfigError; `nameOf` names an option as the user has written it.
 */
export function checkPusher(settings: Settings, nameOf: (key: OptionKey) => string): void {
  const given = SINGLE_APP_KEYS.filter((key) => settings[key] !== null);
  const [first] = given;
  const missing = SINGLE_APP_KEYS.find((key) => settings[key] === null);
  if (first !== undefined && missing !== undefined) {
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf(first)} needs ${missing} as well, got none. Set pusher.appId, pusher.appKey and pusher.appSecret, or none of them.`,
    );
  }
  const apps = appsOf(settings);
  for (const field of ['id', 'key'] as const) checkUnique(apps, field, nameOf);
  const defaultApp = settings['pusher.defaultApp'];
  if (defaultApp !== null && !apps.some(({ id }) => id === defaultApp)) {
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf('pusher.defaultApp')} must be the id of an app, got ${JSON.stringify(defaultApp)}. Leave it out to give the channels of every app a prefix.`,
    );
  }
}

function checkUnique(
  apps: readonly PusherAppOptions[],
  field: 'id' | 'key',
  nameOf: (key: OptionKey) => string,
): void {
  const seen = new Set<string>();
  apps.forEach((app, at) => {
    if (!seen.has(app[field])) {
      seen.add(app[field]);
      return;
    }
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf('pusher.apps')} must have apps with different ids and keys, got the ${field} ${JSON.stringify(app[field])} of app ${at + 1} twice.`,
    );
  });
}

/** Those of the list, then the single one. */
function appsOf(settings: Settings): PusherAppOptions[] {
  const { 'pusher.appId': id, 'pusher.appKey': key, 'pusher.appSecret': secret } = settings;
  const single = id === null || key === null || secret === null ? [] : [{ id, key, secret }];
  return [...settings['pusher.apps'], ...single].map((app) => appOf(app, settings));
}

/** Each field has passed the schema of its option: what the type does not know of it is known here. */
function appOf(app: OptionRecord, settings: Settings): PusherAppOptions {
  const valueOf = <Name extends keyof typeof APP_OPTIONS>(
    name: Name,
  ): (typeof APP_OPTIONS)[Name]['default'] =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
    (app[name] ?? settings[`pusher.${name}`]) as (typeof APP_OPTIONS)[Name]['default'];
  return {
    id: textOf(app['id']),
    key: textOf(app['key']),
    secret: textOf(app['secret']),
    isEnabled: app['enabled'] !== false,
    isDefault: app['id'] === settings['pusher.defaultApp'],
    clientEvents: valueOf('clientEvents'),
    subscriptionCount: valueOf('subscriptionCount'),
    authorizationTimeoutMs: valueOf('authorizedOnly') ? valueOf('authorizationTimeoutMs') : null,
    maxConnections: valueOf('maxConnections'),
    maxPresenceMembers: valueOf('maxPresenceMembers'),
    maxMemberInfoBytes: valueOf('maxMemberInfoBytes'),
    maxEventBytes: valueOf('maxEventBytes'),
    maxClientEventBytes: valueOf('maxClientEventBytes'),
    clientEventRate: valueOf('clientEventRate'),
    cacheMs: valueOf('cacheMs'),
    webhooks: valueOf('webhooks').map(webhookOf),
  };
}

function webhookOf(webhook: OptionRecord): WebhookOptions {
  const filter = recordOf(webhook['filter']);
  const { event_types: types } = webhook;
  return {
    url: textOf(webhook['url']),
    eventTypes: Array.isArray(types) ? types.map(String) : [],
    channelNameStartsWith: textOf(filter['channel_name_starts_with']),
    channelNameEndsWith: textOf(filter['channel_name_ends_with']),
    headers: Object.fromEntries(
      Object.entries(recordOf(webhook['headers'])).map(([name, value]) => [name, textOf(value)]),
    ),
  };
}

function textOf(value: OptionValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function recordOf(value: OptionValue | undefined): OptionRecord {
  return isRecord(value) ? value : {};
}

function isRecord(value: OptionValue | undefined): value is OptionRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
