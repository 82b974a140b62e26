import type { ChannelEventType } from '@roost/farm';
import { WEBHOOK_EVENTS } from '../config/pusher-options.ts';
import type { PusherAppOptions } from '../worker/dialects/pusher/options.ts';

/** What says that somebody has gone, with what says that they are back. */
export const DEPARTURES = [
  ['channel_vacated', 'channel_occupied'],
  ['member_removed', 'member_added'],
] as const satisfies readonly (readonly [departure: ChannelEventType, arrival: ChannelEventType])[];

/** What must be recorded so that these webhooks can be sent: whether somebody left is known only with who came back. */
export function recordedTypes(apps: readonly Pick<PusherAppOptions, 'webhooks'>[]): ChannelEventType[] {
  const webhooks = apps.flatMap((app) => app.webhooks);
  const wanted = new Set(
    WEBHOOK_EVENTS.filter((type) =>
      webhooks.some(({ eventTypes }) => eventTypes.length === 0 || eventTypes.includes(type)),
    ),
  );
  for (const pair of DEPARTURES) {
    if (pair.some((type) => wanted.has(type))) for (const type of pair) wanted.add(type);
  }
  return [...wanted];
}
