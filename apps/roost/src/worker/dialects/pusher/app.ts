import type { App, Connection, WorkerContext } from '@roost/farm';
import { Answers } from './answers.ts';
import { PusherApps } from './apps.ts';
import type { PusherApp } from './apps.ts';
import { sendClientEvent } from './client-event.ts';
import {
  connectionEstablished,
  encodeEvent,
  isUnreadable,
  parseMessage,
  PING,
  PONG,
  subscriptionSucceeded,
} from './codec.ts';
import { CLOSE_CODES, RETURN_AT_ONCE } from './close-codes.ts';
import { CLOSING_ERRORS } from './errors.ts';
import type { ClosingErrorName } from './errors.ts';
import type { PusherOptions } from './options.ts';
import { Quotas } from './quotas.ts';
import { appOf, refusalOf } from './session.ts';
import { signIn } from './signin.ts';
import { Subscriber } from './subscribe.ts';
import { decideUpgrade } from './upgrade.ts';

/** Messages that are answered, or only taken as a sign of life, without waking the connection. */
const REPLIES: NonNullable<App['replies']> = [
  { message: PING, reply: PONG },
  { message: PONG },
  // As pusher-websocket-java writes them.
  { message: '{"event": "pusher:ping"}', reply: PONG },
  { message: '{"event":"pusher:ping"}', reply: PONG },
];

/**
 * The Pusher protocol, versions 5 to 7, for clients at `/app/<key>`: public, private, presence, encrypted and cache channels,
 * client events, and signed-in users. docs/reference/pusher.md says what clients see.
 */
export function pusherApp(context: WorkerContext, options: PusherOptions): App {
  const apps = new PusherApps(options.apps);
  const answers = new Answers((name) => context.count(name));
  const quotas = new Quotas((channels) => context.channelStates(channels));
  const subscriber = new Subscriber(context, answers, options.maxChannelCharacters);
  const { drainReturnsPerSecond: perSecond } = options;
  return {
    name: 'pusher',
    ...(perSecond > 0 && { returnAtOnce: { ...RETURN_AT_ONCE, perSecond } }),
    occupancy: true,
    tellsCount: (channel) => apps.tellsCount(channel),
    resync(channel, { members }) {
      // It replaces the members that the client knows.
      return subscriptionSucceeded(apps.clientName(channel), members);
    },
    replies: REPLIES,
    heartbeat: PING,
    closeCodes: CLOSE_CODES,
    encode(publication) {
      if (isUnreadable(publication)) answers.count('app_pusher_not_text');
      return encodeEvent(apps.clientName(publication.channel), publication);
    },
    upgrade: (request) => decideUpgrade(request, options.pathPrefix, { apps, quotas }),
    open(connection) {
      const refusal = refusalNamed(connection);
      if (refusal !== undefined) answers.close(connection, refusal);
      else {
        answers.count('app_pusher_connections');
        connection.send(connectionEstablished(connection.id, options.activityTimeoutSeconds));
      }
    },
    message(connection, data, isBinary) {
      const app = appNamed(connection, apps);
      if (app === undefined) return undefined;
      if (isBinary) return answers.refuse(connection, 'binary');
      const message = parseMessage(data.toString());
      switch (message.type) {
        case 'ping':
          connection.send(PONG);
          return undefined;
        case 'pong':
          return undefined;
        case 'subscribe':
          return subscriber.subscribe(connection, app, message);
        case 'unsubscribe':
          return subscriber.unsubscribe(connection, app, message.channel);
        case 'signin':
          return signIn(connection, app, message, answers);
        case 'clientEvent':
          return sendClientEvent(connection, app, message, { context, answers });
        case 'unknown':
          return answers.refuse(connection, 'unknownEvent');
        case 'malformed':
          return answers.refuse(connection, 'malformed', message.problem);
      }
    },
  };
}

/** Why the connection is refused, by the code in its session. */
function refusalNamed({ session }: Connection): ClosingErrorName | undefined {
  const code = session === undefined ? undefined : refusalOf(session);
  if (code === undefined) return undefined;
  return CLOSING_ERROR_NAMES.find((name) => CLOSING_ERRORS[name].code === code);
}

/** The app of a connection that was not refused. */
function appNamed({ session }: Connection, apps: PusherApps): PusherApp | undefined {
  if (session === undefined || refusalOf(session) !== undefined) return undefined;
  return apps.at(appOf(session));
}

function isClosingErrorName(name: string): name is ClosingErrorName {
  return Object.hasOwn(CLOSING_ERRORS, name);
}

const CLOSING_ERROR_NAMES = Object.keys(CLOSING_ERRORS).filter(isClosingErrorName);
