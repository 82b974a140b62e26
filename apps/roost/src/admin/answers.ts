import type { Described } from '../openapi/operation.ts';

/*
 * What calls of the admin listener answer. Both sides use this: the server, and the dashboard, which is compiled for browsers.
 */

const COUNT = { type: 'integer', minimum: 0 } as const;
const AMOUNT = { type: 'number', minimum: 0 } as const;
export const CHANNEL_NAME = { type: 'string', description: 'Name of a channel.' } as const;

const BUCKETS = {
  title: 'Buckets',
  type: 'object',
  description: 'A histogram: counts that only grow.',
  properties: {
    bounds: { type: 'array', items: AMOUNT, description: 'Upper bounds, in seconds.' },
    counts: { type: 'array', items: COUNT, description: 'One more than bounds.' },
  },
  required: ['bounds', 'counts'],
  additionalProperties: false,
} as const;

const WORKER = {
  title: 'Worker',
  type: 'object',
  properties: {
    worker: { ...COUNT, description: 'Its index.' },
    pid: COUNT,
    cpu: { type: ['integer', 'null'], minimum: 0 },
    state: { type: 'string', description: '`starting`, `ready`, `draining`, `stopped` or `failed`.' },
    restarts: COUNT,
    connections: COUNT,
    capacity: { ...COUNT, description: 'The most connections that it takes.' },
    subscriptions: { ...COUNT, description: 'Pairs of a connection and a channel.' },
    channels: { ...COUNT, description: 'With subscribers on this worker.' },
    queueBytes: { ...COUNT, description: 'To slow readers, and of publications that wait.' },
    residentBytes: COUNT,
    descriptors: COUNT,
    isBrokerReady: { type: 'boolean' },
    busySeconds: { ...AMOUNT, description: 'In which its event loop did not wait; they only grow.' },
  },
  required: [
    'worker',
    'pid',
    'cpu',
    'state',
    'restarts',
    'connections',
    'capacity',
    'subscriptions',
    'channels',
    'queueBytes',
    'residentBytes',
    'descriptors',
    'isBrokerReady',
    'busySeconds',
  ],
  additionalProperties: false,
} as const;

export const OVERVIEW = {
  title: 'Overview',
  type: 'object',
  properties: {
    at: { ...AMOUNT, description: 'When the workers were asked, in ms since the epoch.' },
    version: { type: 'string' },
    uptimeMs: AMOUNT,
    isReady: { type: 'boolean' },
    reasons: { type: 'array', items: { type: 'string' }, description: 'Why it is not ready.' },
    broker: { enum: ['memory', 'redis'] },
    workers: { type: 'array', items: WORKER },
    unanswered: { type: 'array', items: COUNT, description: 'Workers that did not answer, by index.' },
    totals: {
      type: 'object',
      description: 'Of the whole farm; they only grow.',
      properties: {
        opened: COUNT,
        closed: COUNT,
        refused: COUNT,
        messagesReceived: COUNT,
        messagesSent: COUNT,
        publications: COUNT,
        deliveries: COUNT,
        receivedBytes: COUNT,
        sentBytes: COUNT,
        dropped: COUNT,
      },
      required: [
        'opened',
        'closed',
        'refused',
        'messagesReceived',
        'messagesSent',
        'publications',
        'deliveries',
        'receivedBytes',
        'sentBytes',
        'dropped',
      ],
      additionalProperties: false,
    },
    histograms: {
      type: 'object',
      properties: { broadcast: BUCKETS, loopDelay: BUCKETS, handOff: BUCKETS, rtt: BUCKETS },
      required: ['broadcast', 'loopDelay', 'handOff', 'rtt'],
      additionalProperties: false,
    },
  },
  required: [
    'at',
    'version',
    'uptimeMs',
    'isReady',
    'reasons',
    'broker',
    'workers',
    'unanswered',
    'totals',
    'histograms',
  ],
  additionalProperties: false,
} as const;

export const TOP_CHANNELS = {
  title: 'TopChannels',
  type: 'object',
  properties: {
    channels: {
      type: 'array',
      maxItems: 20,
      items: {
        type: 'object',
        properties: { channel: CHANNEL_NAME, subscribers: COUNT },
        required: ['channel', 'subscribers'],
        additionalProperties: false,
      },
    },
  },
  required: ['channels'],
  additionalProperties: false,
} as const;

export const CONNECTION_DETAILS = {
  title: 'Connection',
  type: 'object',
  properties: {
    id: { type: 'string' },
    worker: { ...COUNT, description: 'Index of its worker.' },
    app: { type: 'string' },
    state: { type: 'string', description: '`open` (it sleeps), `awake` (ws reads it) or `closing`.' },
    since: { type: ['number', 'null'], description: 'When its socket was accepted, in ms since the epoch.' },
    remoteAddress: { type: 'string' },
    user: { type: ['string', 'null'] },
    channels: { type: 'array', items: CHANNEL_NAME, maxItems: 100 },
    channelCount: { ...COUNT, description: 'How many it has, of which at most 100 are named.' },
    memberOf: {
      type: 'array',
      items: {
        type: 'object',
        properties: { channel: CHANNEL_NAME, user: { type: 'string' } },
        required: ['channel', 'user'],
        additionalProperties: false,
      },
      description: 'Those of the named channels in which it is a member.',
    },
    silentMs: { ...AMOUNT, description: 'Since something was heard of its client.' },
    bufferedBytes: { ...COUNT, description: 'In its outbound queue.' },
    isCompressed: { type: 'boolean' },
    hasGap: { type: 'boolean', description: 'Whether publications may have been missed.' },
    expiresAt: { type: ['number', 'null'], description: 'In seconds since the epoch.' },
    tcp: {
      type: ['object', 'null'],
      description: 'What the kernel says (TCP_INFO); null over TLS.',
      properties: {
        rttMs: AMOUNT,
        receivedBytes: COUNT,
        sentBytes: COUNT,
        sentSegments: COUNT,
        retransmittedSegments: COUNT,
      },
      required: ['rttMs', 'receivedBytes', 'sentBytes', 'sentSegments', 'retransmittedSegments'],
      additionalProperties: false,
    },
  },
  required: [
    'id',
    'worker',
    'app',
    'state',
    'since',
    'remoteAddress',
    'user',
    'channels',
    'channelCount',
    'memberOf',
    'silentMs',
    'bufferedBytes',
    'isCompressed',
    'hasGap',
    'expiresAt',
    'tcp',
  ],
  additionalProperties: false,
} as const;

export const MEMBER_CHANNELS = {
  title: 'MemberChannels',
  type: 'object',
  properties: {
    channels: {
      type: 'array',
      maxItems: 20,
      items: {
        type: 'object',
        properties: {
          channel: CHANNEL_NAME,
          members: { ...COUNT, description: 'Users, on all farms of the same Redis.' },
          subscribers: { ...COUNT, description: 'Connections, as far as they are counted.' },
        },
        required: ['channel', 'members', 'subscribers'],
        additionalProperties: false,
      },
    },
  },
  required: ['channels'],
  additionalProperties: false,
} as const;

export const SHOWN_MEMBERS = {
  title: 'Members',
  type: 'object',
  properties: {
    memberCount: COUNT,
    members: {
      type: 'array',
      maxItems: 200,
      items: {
        type: 'object',
        properties: {
          user: { type: 'string' },
          info: { type: 'string', description: 'JSON text, or empty.' },
        },
        required: ['user', 'info'],
        additionalProperties: false,
      },
    },
  },
  required: ['memberCount', 'members'],
  additionalProperties: false,
} as const;

const WEBHOOK = {
  title: 'Webhook',
  type: 'object',
  properties: {
    app: { type: 'string' },
    url: { type: 'string' },
    queuedEvents: COUNT,
    queuedBytes: COUNT,
    problem: { type: ['string', 'null'], description: 'Why it was not taken last time.' },
    taken: COUNT,
    failed: COUNT,
    lost: COUNT,
  },
  required: ['app', 'url', 'queuedEvents', 'queuedBytes', 'problem', 'taken', 'failed', 'lost'],
  additionalProperties: false,
} as const;

export const SHOWN_WEBHOOKS = {
  title: 'Webhooks',
  type: 'object',
  properties: {
    webhooks: { type: 'array', items: WEBHOOK, description: 'In the order in which they are configured.' },
  },
  required: ['webhooks'],
  additionalProperties: false,
} as const;

const CHANGE = {
  title: 'Change',
  type: 'object',
  description: 'How far a change of the farm has come, or how far it came.',
  properties: {
    kind: {
      type: 'string',
      description: '`reload`, `canary`, `continue`, `rollback`, `workers` or `rebalance`.',
    },
    moved: { ...COUNT, description: 'Connections that have moved.' },
    left: { ...COUNT, description: 'Connections that may have to move yet.' },
    closed: { ...COUNT, description: 'Connections that were closed because they could not move.' },
    lost: { ...COUNT, description: 'Connections that died with workers meanwhile.' },
    rate: { ...AMOUNT, description: 'Connections that moved per second.' },
    pauseP99Ms: { ...AMOUNT, description: 'How long 99 % of them were served by nobody, at most.' },
    pauseMaxMs: AMOUNT,
    worker: { ...COUNT, description: 'The worker it is at, from 1; 0 before the first.' },
    of: { ...COUNT, description: 'Workers that it concerns.' },
    seconds: { ...AMOUNT, description: 'Since it began.' },
    state: { type: 'string', enum: ['under way', 'done', 'stopped'] },
    stoppedBy: { type: ['string', 'null'], description: 'Why it stopped before its end.' },
    lostBy: {
      type: ['string', 'null'],
      description: 'Which workers died with connections, although it came to its end.',
    },
  },
  required: [
    'kind',
    'moved',
    'left',
    'closed',
    'lost',
    'rate',
    'pauseP99Ms',
    'pauseMaxMs',
    'worker',
    'of',
    'seconds',
    'state',
    'stoppedBy',
    'lostBy',
  ],
  additionalProperties: false,
} as const;

export const SHOWN_CHANGES = {
  title: 'Changes',
  type: 'object',
  properties: {
    changes: {
      type: 'array',
      items: CHANGE,
      maxItems: 2,
      description: 'The one under way, and the one before.',
    },
  },
  required: ['changes'],
  additionalProperties: false,
} as const;

export type ShownChanges = Described<typeof SHOWN_CHANGES>;
export type ShownChange = Described<typeof CHANGE>;
export type MemberChannels = Described<typeof MEMBER_CHANNELS>;
export type ShownMembers = Described<typeof SHOWN_MEMBERS>;
export type ShownWebhooks = Described<typeof SHOWN_WEBHOOKS>;
export type ShownWebhook = Described<typeof WEBHOOK>;
export type Overview = Described<typeof OVERVIEW>;
export type WorkerOverview = Overview['workers'][number];
export type OverviewTotal = keyof Overview['totals'];
export type OverviewHistogram = keyof Overview['histograms'];
export type BucketCounts = Described<typeof BUCKETS>;
export type TopChannels = Described<typeof TOP_CHANNELS>;
export type ConnectionDetails = Described<typeof CONNECTION_DETAILS>;
