import type { Farm, Log } from '@roost/farm';
import type { Settings } from '../config/options.ts';
import { pusherOptions } from '../config/pusher.ts';
import { PusherApps } from '../worker/dialects/pusher/apps.ts';
import type { WebhookState } from './deliveries.ts';
import { WebhookSender } from './sender.ts';

/** Webhooks that are sent. */
export interface Webhooks {
  readonly states: readonly WebhookState[];
  /** Within `pusher.webhookDrainMs`, and after the farm has stopped, so that what its end has caused is told, too. */
  stop(): Promise<void>;
}

/** Sends the webhooks of the configured apps from now on, if there are any. */
export function startWebhooks(farm: Farm, settings: Settings, log: Log): Webhooks | undefined {
  const events = farm.channelEvents;
  const options = pusherOptions(settings);
  if (events === undefined || options === null) return undefined;
  const apps = new PusherApps(options.apps);
  const sender = new WebhookSender(
    events,
    options.apps,
    {
      timeoutMs: settings['pusher.webhookTimeoutMs'],
      retryMs: settings['pusher.webhookRetryMs'],
      batchMs: settings['pusher.webhookBatchMs'],
      maxBatchEvents: settings['pusher.maxWebhookEvents'],
      maxQueuedEvents: settings['pusher.maxWebhookQueue'],
      lingerMs: settings['pusher.webhookLingerMs'],
    },
    {
      log,
      counts: {
        taken: (count) => farm.count('app_pusher_webhook_events', count),
        failed: () => farm.count('app_pusher_webhook_failures', 1),
        lost: (count) => farm.count('app_pusher_webhook_events_lost', count),
      },
      placeOf: (name) => {
        const app = apps.ownerOf(name);
        const channel = apps.clientName(name);
        // No client of an app can name what has a slash; the channels of single users are nobody's business.
        return app === undefined || /[#/]/.test(channel) ? undefined : { app: app.id, channel };
      },
    },
  );
  const stopping = { timeoutMs: settings['pusher.webhookDrainMs'], keepsEvents: settings.redisUrl !== null };
  return {
    get states() {
      return sender.states;
    },
    stop: () => sender.stop(stopping),
  };
}
