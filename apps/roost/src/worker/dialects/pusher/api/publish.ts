import type { WorkerContext } from '@roost/farm';
import type { PusherApp } from '../apps.ts';
import { isClientEvent, kindOf } from '../names.ts';
import { RequestError, requestErrorOf } from './errors.ts';
import type { TriggeredEvent } from './events.ts';

/**
 * Publishes events, each to all its channels. All are handed to the broker before its first answer, so that they stay in
 * order, and all are confirmed when this resolves. Else it rejects with a RequestError: some may have been published.
 */
export async function publishEvents(
  app: PusherApp,
  events: readonly TriggeredEvent[],
  context: Pick<WorkerContext, 'publish' | 'count'>,
): Promise<void> {
  const published = events.flatMap(({ name, data, channels, except }) => {
    // The payload of a client event is JSON, whoever triggers it; see encodeEvent().
    const payload = isClientEvent(name) ? JSON.stringify(data) : data;
    return channels.map((channel) =>
      context.publish(app.channelPrefix + channel, payload, {
        event: name,
        except,
        ...(kindOf(channel).isCache && { keepMs: app.cacheMs }),
      }),
    );
  });
  const outcomes = await Promise.allSettled(published);
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected');
  for (let left = outcomes.length - failures.length; left > 0; left--) context.count('app_pusher_events');
  const [first] = failures;
  if (first === undefined) return;
  const error = requestErrorOf(first.reason);
  if (error === undefined) throw first.reason;
  throw failures.length === outcomes.length
    ? error
    : new RequestError('unavailable', `${failures.length} of ${outcomes.length} publications failed`);
}
