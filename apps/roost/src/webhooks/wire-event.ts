import type { RecordedEvent } from '@roost/farm';
import type { WebhookOptions } from '../worker/dialects/pusher/options.ts';

/** Whether the webhook is to be told of such an event of this channel. */
export function wants(webhook: WebhookOptions, type: RecordedEvent['type'], channel: string): boolean {
  const { eventTypes, channelNameStartsWith, channelNameEndsWith } = webhook;
  return (
    (eventTypes.length === 0 || eventTypes.includes(type)) &&
    channel.startsWith(channelNameStartsWith) &&
    channel.endsWith(channelNameEndsWith)
  );
}

/**
 * The event as JSON text, in the words of the protocol: one element of `events` in the body of a request. It has the fields of
 * its type, and JSON leaves out what is undefined.
 */
export function wireEvent(recorded: RecordedEvent, channel: string): string {
  const { type: name, event, data, connection, user, count } = recorded;
  return JSON.stringify({
    name,
    channel,
    event,
    data,
    socket_id: connection,
    user_id: user,
    subscription_count: count,
  });
}
