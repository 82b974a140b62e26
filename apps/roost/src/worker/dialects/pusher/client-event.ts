import type { Connection, WorkerContext } from '@roost/farm';
import type { Answers } from './answers.ts';
import { isRecorded } from './apps.ts';
import type { PusherApp } from './apps.ts';
import type { ClientMessage } from './codec.ts';
import type { MessageErrorName } from './errors.ts';
import { kindOf, MAX_EVENT_CHARACTERS } from './names.ts';
import { takeClientEvent } from './session.ts';

export type ClientEvent = Extract<ClientMessage, { type: 'clientEvent' }>;

/** An event of a client for the other subscribers of a channel: checked, and published without waking anybody. */
export async function sendClientEvent(
  connection: Connection,
  app: PusherApp,
  message: ClientEvent,
  parts: { readonly context: Pick<WorkerContext, 'publish' | 'recordEvent'>; readonly answers: Answers },
): Promise<void> {
  const { context, answers } = parts;
  const name = app.channelPrefix + message.channel;
  const error = errorOf(connection, app, message, name);
  if (error !== undefined) {
    answers.refuse(connection, error);
    return;
  }
  const { event, data } = message;
  // Gone when the connection is, and it may be before the broker has answered.
  const { id } = connection;
  const user = connection.memberOf(name);
  try {
    await context.publish(name, data, { event, except: id, user });
  } catch {
    answers.refuse(connection, 'clientEventFailed');
    return;
  }
  answers.count('app_pusher_client_events');
  if (!isRecorded(app, 'client_event')) return;
  // The event has arrived; that webhooks will not tell of it is the store's to count.
  await context
    .recordEvent({
      type: 'client_event',
      channel: name,
      event,
      data,
      connection: id,
      ...(user !== undefined && { user }),
    })
    .catch(() => undefined);
}

function errorOf(
  connection: Connection,
  app: PusherApp,
  { event, channel, data }: ClientEvent,
  name: string,
): MessageErrorName | undefined {
  if (!app.clientEvents) return 'clientEventsDisabled';
  if (event.length > MAX_EVENT_CHARACTERS || !event.isWellFormed()) return 'clientEventName';
  const { access, isEncrypted } = kindOf(channel);
  if ((access !== 'private' && access !== 'presence') || isEncrypted) return 'clientEventChannel';
  if (!connection.isSubscribed(name)) return 'clientEventNotSubscribed';
  if (Buffer.byteLength(data) > app.maxClientEventBytes) return 'clientEventTooLarge';
  const { session } = connection;
  if (session === undefined) return 'clientEventFailed';
  return takeClientEvent(session, app.clientEventRate, performance.now()) ? undefined : 'clientEventRate';
}
