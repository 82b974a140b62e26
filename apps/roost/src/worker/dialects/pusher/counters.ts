/** What the dialect counts, with the meaning of each. docs/reference/counters.md lists them. */
export const PUSHER_COUNTERS = {
  app_pusher_connections: 'Connections of Pusher clients that got their socket id.',
  app_pusher_refused_connections:
    'Connections of Pusher clients closed with 4001 to 4008: an unknown key, path or protocol, a disabled app, or an app at its limit of connections.',
  app_pusher_subscriptions: 'Subscriptions of Pusher clients that succeeded.',
  app_pusher_refused_subscriptions:
    'Subscriptions of Pusher clients that were refused for another reason than their signature: a name, a member or a limit.',
  app_pusher_refused_signatures:
    'Subscriptions and sign-ins of Pusher clients refused because their signature is wrong.',
  app_pusher_failed_subscriptions:
    'Pusher clients closed with 4100 because the broker did not confirm their subscription.',
  app_pusher_signins: 'Sign-ins of Pusher clients.',
  app_pusher_refused_signins:
    'Sign-ins of Pusher clients refused because of the user in them, not of their signature.',
  app_pusher_malformed: 'Messages of Pusher clients that are no events of the protocol.',
  app_pusher_client_events: 'Client events that the broker took.',
  app_pusher_refused_client_events:
    'Client events refused: they are disabled, too many or too large, or the channel does not take them from this client.',
  app_pusher_failed_client_events: 'Client events that the broker did not take.',
  app_pusher_cache_misses: 'Subscriptions to cache channels that had no event.',
  app_pusher_not_text:
    'Publications that Pusher clients did not get because their bytes are not UTF-8, counted once per worker.',
  app_pusher_events: 'Events that the HTTP API of Pusher took, one for each channel.',
  app_pusher_refused_requests: 'Requests of the HTTP API of Pusher answered with a status from 400 to 499.',
  app_pusher_webhook_events: 'Events that a webhook has taken.',
  app_pusher_webhook_failures: 'Requests of webhooks that failed, whether they were sent again or not.',
  app_pusher_webhook_events_lost:
    'Events that a webhook did not get: it failed for pusher.webhookRetryMs, or more waited than pusher.maxWebhookQueue.',
  app_pusher_failed_requests: 'Requests of the HTTP API of Pusher answered with a status from 500.',
} as const;

export type PusherCounter = keyof typeof PUSHER_COUNTERS;
