import { z } from 'zod';
import { integer, list, optionalInteger, optionalText, text, toggle } from './option.ts';
import type { Field, Option, OptionValue } from './option.ts';
import { optional, record, records, required } from './records.ts';

/** What webhooks tell of. */
export const WEBHOOK_EVENTS = [
  'channel_occupied',
  'channel_vacated',
  'member_added',
  'member_removed',
  'client_event',
  'cache_miss',
  'subscription_count',
] as const;

const MAX_APPS = 1000;
const MAX_WEBHOOKS = 16;

const APP_ID = {
  schema: z
    .union([z.int().nonnegative().transform(String), z.string()])
    .pipe(z.string().regex(/^[A-Za-z0-9._-]{1,48}$/)),
  allowed: '1 to 48 letters, digits and . _ -',
  placeholder: '<id>',
};

const APP_KEY = {
  schema: z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/),
  allowed: '1 to 64 letters, digits and . _ ~ -',
  placeholder: '<key>',
};

const APP_SECRET = {
  schema: z.string().regex(/^[\x21-\x7e]{1,256}$/),
  allowed: '1 to 256 visible ASCII characters without spaces',
  placeholder: '<secret>',
  isSecret: true,
};

const NAME_PART = {
  schema: z.string().regex(/^[A-Za-z0-9_\-=@,.;#]{1,200}$/),
  allowed: '1 to 200 characters that a channel may have',
  placeholder: '<text>',
};

/** A request has them already, or they would change where its body ends. */
const OWN_HEADER =
  /^(?:content-|x-pusher-|(?:connection|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$)/i;

const HEADERS: Option<OptionValue> = {
  schema: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/), z.string().regex(/^[\x20-\x7e]{0,1024}$/))
    .refine((headers) => Object.keys(headers).length <= 32)
    .refine((headers) => !Object.keys(headers).some((name) => OWN_HEADER.test(name))),
  fromText: (written) => written,
  default: {},
  whenLeftOut: 'to add none',
  allowed:
    'at most 32 names of headers with their values in visible ASCII, without Content-…, X-Pusher-…, Host and those of the connection',
  placeholder: '<json>',
  doc: 'Headers that are added to the request. Their values are never printed.',
  isSecret: true,
};

const WEBHOOKS = records({
  maxLength: MAX_WEBHOOKS,
  elements: 'webhooks',
  whenLeftOut: 'to have none',
  doc: 'Where the farm reports what happens in channels, in the form in which Soketi has them; the reference of the Pusher protocol says what is sent.',
  fields: {
    url: required(
      text({
        schema: z.string().max(2048).refine(isWebhookUrl),
        allowed: 'an http or https URL without user and password',
        placeholder: '<url>',
        default: '',
        doc: 'Where it is sent to.',
      }),
    ),
    event_types: optional(
      list({
        isAllowed: (name) => WEBHOOK_EVENTS.some((event) => event === name),
        maxLength: WEBHOOK_EVENTS.length,
        elements: `of ${WEBHOOK_EVENTS.join(', ')}`,
        whenLeftOut: 'to send all',
        doc: 'The events that are sent.',
      }),
    ),
    filter: optional(
      record({
        allowed: 'a group of settings: channel_name_starts_with, channel_name_ends_with',
        whenLeftOut: 'to send those of all channels',
        doc: 'Sends events of some channels only.',
        fields: {
          channel_name_starts_with: optional(
            optionalText({ ...NAME_PART, whenLeftOut: 'to send all', doc: 'How their names begin.' }),
          ),
          channel_name_ends_with: optional(
            optionalText({ ...NAME_PART, whenLeftOut: 'to send all', doc: 'How their names end.' }),
          ),
        },
      }),
    ),
    headers: optional(HEADERS),
  },
});

function isWebhookUrl(location: string): boolean {
  if (!/^https?:\/\//i.test(location) || !URL.canParse(location)) return false;
  const { username, password } = new URL(location);
  return username === '' && password === '';
}

/** What every app has a value of: an app's own, or that of all. */
export const APP_OPTIONS = {
  clientEvents: toggle({
    doc: 'Lets clients send events (`client-…`) to the private and presence channels that they are subscribed to. Without it they get error 4301.',
  }),
  subscriptionCount: toggle({
    doc: 'Tells the subscribers of a channel how many they are, whenever that changes; in presence channels the members tell it.',
  }),
  authorizedOnly: toggle({
    doc: 'Closes connections with 4009 that have neither signed in nor subscribed to a private or presence channel within `pusher.authorizationTimeoutMs`.',
  }),
  authorizationTimeoutMs: integer({
    default: 30_000,
    min: 1000,
    max: 3_600_000,
    unit: 'ms',
    doc: 'With `pusher.authorizedOnly`: how long a connection may take to show a signature.',
  }),
  maxConnections: integer({
    default: 0,
    min: 0,
    max: 100_000_000,
    unit: 'connections',
    doc: 'Connections of an app, on all workers and farms that share a Redis. Beyond it: 4004. The sum is known within two seconds: a rush may pass it by what connects in that time, and who comes right after another has gone may be refused. 0: no limit.',
  }),
  maxPresenceMembers: integer({
    default: 100,
    min: 1,
    max: 10_000,
    unit: 'users',
    doc: 'Users of a presence channel. Beyond it a new one is refused with error 4004; a further connection of a member never is.',
  }),
  maxMemberInfoBytes: integer({
    default: 1024,
    min: 2,
    max: 8192,
    unit: 'bytes',
    doc: 'Size of the user_info of a member as JSON. Larger: the subscription, or sign-in, is refused with error 4301.',
  }),
  maxEventBytes: integer({
    default: 10 * 1024,
    min: 1,
    max: 1024 * 1024,
    unit: 'bytes',
    doc: 'Size of the data of an event of the HTTP API. Larger: 413.',
  }),
  maxClientEventBytes: integer({
    default: 10 * 1024,
    min: 1,
    max: 1024 * 1024,
    unit: 'bytes',
    doc: 'Size of the data of a client event, as JSON. Larger: error 4301. `maxMessageBytes` bounds the whole message.',
  }),
  clientEventRate: integer({
    default: 10,
    min: 1,
    max: 1000,
    unit: 'events/s',
    doc: 'Client events of one connection per second, and as many at once after a pause. Beyond it: error 4301, and the event is dropped.',
  }),
  cacheMs: integer({
    default: 30 * 60 * 1000,
    min: 1000,
    max: 7 * 24 * 60 * 60 * 1000,
    unit: 'ms',
    doc: 'How long a cache channel keeps its last event.',
  }),
  webhooks: WEBHOOKS,
} as const;

const APP_FIELDS: Readonly<Record<string, Field>> = {
  id: required(text({ ...APP_ID, default: '', doc: 'Names it to the HTTP API: `/apps/<id>/events`.' })),
  key: required(text({ ...APP_KEY, default: '', doc: 'Names it to clients: `/app/<key>`.' })),
  secret: required(text({ ...APP_SECRET, default: '', doc: 'Signs what back ends ask for and allow.' })),
  enabled: optional(
    switchedOn('Whether it takes connections (else: 4003) and requests of the HTTP API (else: 403).'),
  ),
  ...Object.fromEntries(Object.entries(APP_OPTIONS).map(([name, option]) => [name, optional(option)])),
};

/** A switch that is on unless said. */
function switchedOn(doc: string): Option<boolean> {
  return { ...toggle({ doc }), default: true, whenLeftOut: 'to leave it on' };
}

/** The options of the Pusher dialect, which is served when there is an app. */
export const PUSHER_OPTIONS = {
  'pusher.apps': records({
    maxLength: MAX_APPS,
    elements: 'apps',
    whenLeftOut: 'to have none but that of `pusher.appId`',
    doc: 'The apps of the Pusher protocol. Each has an `id`, a `key` and a `secret`; the options below, from `clientEvents` on, may be fields of an app as well, and count for it alone.',
    fields: APP_FIELDS,
  }),
  'pusher.appId': optionalText({
    ...APP_ID,
    whenLeftOut: 'to have only the apps of `pusher.apps`',
    doc: 'The id of one app that needs no file: with `pusher.appKey` and `pusher.appSecret`.',
  }),
  'pusher.appKey': optionalText({
    ...APP_KEY,
    whenLeftOut: 'to have only the apps of `pusher.apps`',
    doc: 'The key of the app of `pusher.appId`.',
  }),
  'pusher.appSecret': optionalText({
    ...APP_SECRET,
    whenLeftOut: 'to have only the apps of `pusher.apps`',
    doc: 'The secret of the app of `pusher.appId`. Better given as a variable than as a flag, which every user of the machine can read.',
  }),
  'pusher.defaultApp': optionalText({
    ...APP_ID,
    whenLeftOut: 'to give the channels of every app the id of the app and a slash before their names',
    doc: 'The id of the app whose channels have the same names for /plain, for your application and in Redis as for its clients. Those of every other app are called `<id>/<channel>` there, so that apps never hear each other.',
  }),
  'pusher.pathPrefix': optionalText({
    schema: z.string().regex(/^(?:\/[A-Za-z0-9._~-]{1,64}){1,8}$/),
    allowed: 'a path such as /ws',
    placeholder: '<path>',
    whenLeftOut: 'to have none',
    doc: 'A path that may stand before `/app/<key>` and `/apps/<id>`, as a proxy passes it on. It is no part of what back ends sign.',
  }),
  'pusher.activityTimeoutSeconds': optionalInteger({
    min: 1,
    max: 86_400,
    unit: 's',
    whenLeftOut:
      'to use five sixths of heartbeatMs, so that the ping of a client comes before that of the server',
    doc: 'Silence after which clients are asked to send a ping.',
  }),
  'pusher.drainReturnsPerSecond': integer({
    default: 100,
    min: 0,
    max: 1_000_000,
    unit: 'connections/s',
    doc: 'Clients that a drain asks to come back at once (4200), per second and of the whole farm. All others get 1001, after which pusher-js waits for a second. It has no jitter: whoever comes back at once comes with all the others. 0: none.',
  }),
  'pusher.maxChannelCharacters': integer({
    default: 164,
    min: 1,
    max: 200,
    unit: 'characters',
    doc: 'Length of the name of a channel. Longer: the subscription is refused, the HTTP API answers 400.',
  }),
  'pusher.clientEvents': APP_OPTIONS.clientEvents,
  'pusher.subscriptionCount': APP_OPTIONS.subscriptionCount,
  'pusher.authorizedOnly': APP_OPTIONS.authorizedOnly,
  'pusher.authorizationTimeoutMs': APP_OPTIONS.authorizationTimeoutMs,
  'pusher.maxConnections': APP_OPTIONS.maxConnections,
  'pusher.maxPresenceMembers': APP_OPTIONS.maxPresenceMembers,
  'pusher.maxMemberInfoBytes': APP_OPTIONS.maxMemberInfoBytes,
  'pusher.maxEventBytes': APP_OPTIONS.maxEventBytes,
  'pusher.maxClientEventBytes': APP_OPTIONS.maxClientEventBytes,
  'pusher.clientEventRate': APP_OPTIONS.clientEventRate,
  'pusher.cacheMs': APP_OPTIONS.cacheMs,
  'pusher.webhooks': APP_OPTIONS.webhooks,
} as const;
