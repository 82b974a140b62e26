import { integer } from './option.ts';

/** How webhooks are sent: of all apps, since each URL of each app has a queue of its own. */
export const WEBHOOK_OPTIONS = {
  'pusher.webhookLingerMs': integer({
    default: 3000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    doc: 'How long a webhook waits before it tells of a departure (channel_vacated, member_removed). Who is back by then has not left: neither departure nor return is told.',
  }),
  'pusher.webhookBatchMs': integer({
    default: 100,
    min: 0,
    max: 60_000,
    unit: 'ms',
    doc: 'How long an event waits for others that a webhook sends with it.',
  }),
  'pusher.maxWebhookEvents': integer({
    default: 100,
    min: 1,
    max: 1000,
    unit: 'events',
    doc: 'Events of one request of a webhook. A request has at most 256 KB of them, too, unless one event is larger. More wait for the next request.',
  }),
  'pusher.webhookTimeoutMs': integer({
    default: 10_000,
    min: 100,
    max: 120_000,
    unit: 'ms',
    doc: 'Time in which a webhook must be answered. Later: it has failed, and is sent again.',
  }),
  'pusher.webhookRetryMs': integer({
    default: 300_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    doc: 'How long a request of a webhook that has failed is sent again, after pauses that grow from half a second to a minute. After that its events are lost (app_pusher_webhook_events_lost). 0: it is sent once.',
  }),
  'pusher.maxWebhookQueue': integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'events',
    doc: 'Events that wait for one webhook, of at most 16 MB. Beyond it the oldest are lost (app_pusher_webhook_events_lost).',
  }),
  'pusher.webhookDrainMs': integer({
    default: 5000,
    min: 0,
    max: 300_000,
    unit: 'ms',
    doc: 'How long a server that has stopped its farm goes on sending what waits: on top of drainMs and 4 × stopTimeoutMs, for whoever kills it after a time. The rest is left to the other farms on its Redis; without one it is lost.',
  }),
} as const;
