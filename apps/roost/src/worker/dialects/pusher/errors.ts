import type { PusherCounter } from './counters.ts';

/** What a client is told. docs/reference/pusher.md lists every row. */
interface PusherError {
  /** Of `pusher:error`; null where the protocol has none. */
  readonly code: number | null;
  readonly message: string;
  readonly counter: PusherCounter;
}

/** It ends the connection: `pusher:error`, then a close frame with the same code. */
interface ClosingError extends PusherError {
  readonly code: number;
}

/** It refuses a subscription: an event on the channel, then `pusher:error`. */
interface SubscriptionError extends PusherError {
  readonly type: 'AuthError' | 'InvalidChannel' | 'InvalidMember' | 'LimitReached';
  readonly status: number;
}

/** Errors that end a connection. Codes from 4000 to 4099 tell the client not to come back, 4100 to come back later. */
export const CLOSING_ERRORS = {
  unknownKey: {
    code: 4001,
    message: 'There is no app with this key.',
    counter: 'app_pusher_refused_connections',
  },
  disabledApp: { code: 4003, message: 'The app is disabled.', counter: 'app_pusher_refused_connections' },
  overQuota: {
    code: 4004,
    message: 'The app has as many connections as it may have.',
    counter: 'app_pusher_refused_connections',
  },
  unknownPath: {
    code: 4005,
    message: 'There is nothing at this path: connect to /app/<key>.',
    counter: 'app_pusher_refused_connections',
  },
  unsupportedProtocol: {
    code: 4007,
    message: 'This version of the protocol is not supported: use 5, 6 or 7.',
    counter: 'app_pusher_refused_connections',
  },
  missingProtocol: {
    code: 4008,
    message: 'A version of the protocol is missing: connect with ?protocol=7.',
    counter: 'app_pusher_refused_connections',
  },
  wrongSignin: {
    code: 4009,
    message: 'The signature of the user is wrong.',
    counter: 'app_pusher_refused_signatures',
  },
  notSubscribed: {
    code: 4100,
    message: 'The subscription could not be confirmed: connect again.',
    counter: 'app_pusher_failed_subscriptions',
  },
} as const satisfies Readonly<Record<string, ClosingError>>;

/** Errors that refuse a subscription. The connection stays. */
export const SUBSCRIPTION_ERRORS = {
  wrongSignature: {
    code: 4009,
    type: 'AuthError',
    status: 401,
    message: 'The signature of the channel is wrong.',
    counter: 'app_pusher_refused_signatures',
  },
  otherUser: {
    code: 4009,
    type: 'AuthError',
    status: 401,
    message: 'Only a connection that is signed in as this user may subscribe to the channel.',
    counter: 'app_pusher_refused_subscriptions',
  },
  invalidName: {
    code: null,
    type: 'InvalidChannel',
    status: 400,
    message: 'The name of the channel is invalid',
    counter: 'app_pusher_refused_subscriptions',
  },
  invalidMember: {
    code: null,
    type: 'InvalidMember',
    status: 400,
    message: 'The channel_data is invalid',
    counter: 'app_pusher_refused_subscriptions',
  },
  tooMuchInfo: {
    code: 4301,
    type: 'LimitReached',
    status: 4301,
    message: 'The user_info is larger than the app allows.',
    counter: 'app_pusher_refused_subscriptions',
  },
  full: {
    code: 4004,
    type: 'LimitReached',
    status: 4100,
    message: 'The channel has as many members as it may have.',
    counter: 'app_pusher_refused_subscriptions',
  },
  tooManyChannels: {
    code: 4301,
    type: 'LimitReached',
    status: 4301,
    message: 'The connection has as many subscriptions as it may have.',
    counter: 'app_pusher_refused_subscriptions',
  },
} as const satisfies Readonly<Record<string, SubscriptionError>>;

/** Errors of single messages, told by `pusher:error` alone. The connection stays. */
export const MESSAGE_ERRORS = {
  binary: {
    code: null,
    message: 'A binary message was received: events are sent as text.',
    counter: 'app_pusher_malformed',
  },
  malformed: { code: null, message: 'The message is not an event', counter: 'app_pusher_malformed' },
  unknownEvent: {
    code: null,
    message: 'Clients send no event of this name: one of their own begins with client-.',
    counter: 'app_pusher_malformed',
  },
  duplicate: {
    code: null,
    message: 'The connection is subscribed to this channel already.',
    counter: 'app_pusher_refused_subscriptions',
  },
  invalidUser: { code: null, message: 'The user_data is invalid', counter: 'app_pusher_refused_signins' },
  tooMuchUserInfo: {
    code: 4301,
    message: 'The user_info is larger than the app allows.',
    counter: 'app_pusher_refused_signins',
  },
  otherSignin: {
    code: 4009,
    message: 'The connection is signed in as another user already.',
    counter: 'app_pusher_refused_signins',
  },
  clientEventsDisabled: {
    code: 4301,
    message: 'The app has client events disabled.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventChannel: {
    code: 4301,
    message: 'Client events are for private and presence channels that are not encrypted.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventNotSubscribed: {
    code: 4301,
    message: 'A client event needs a subscription to its channel.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventName: {
    code: 4301,
    message: 'The name of the client event has more than 200 characters, or half a surrogate pair.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventTooLarge: {
    code: 4301,
    message: 'The data of the client event is larger than the app allows.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventRate: {
    code: 4301,
    message: 'The connection sends more client events per second than the app allows.',
    counter: 'app_pusher_refused_client_events',
  },
  clientEventFailed: {
    code: null,
    message: 'The client event was not delivered: try again.',
    counter: 'app_pusher_failed_client_events',
  },
} as const satisfies Readonly<Record<string, PusherError>>;

export type ClosingErrorName = keyof typeof CLOSING_ERRORS;
export type SubscriptionErrorName = keyof typeof SUBSCRIPTION_ERRORS;
export type MessageErrorName = keyof typeof MESSAGE_ERRORS;
