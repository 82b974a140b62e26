import { json } from '../../../../openapi/operation.ts';
import type { Answer, Described, Operation, Parameter } from '../../../../openapi/operation.ts';
import { REQUEST_ERRORS } from './errors.ts';
import type { RequestErrorName } from './errors.ts';

const TAG = 'Pusher';
const COUNT = { type: 'integer', minimum: 0 } as const;
const NOTHING = { type: 'object', properties: {}, additionalProperties: false } as const;

const PROBLEM = {
  title: 'PusherProblem',
  type: 'object',
  properties: { error: { type: 'string', description: 'What was wrong, in words.' } },
  required: ['error'],
  additionalProperties: false,
} as const;

/** How a call may be answered, but for paths and methods that no call has. */
const ERRORS = errorAnswers('notFound', 'methodNotAllowed');
/** Of one without a body. */
const ERRORS_OF_GET = errorAnswers('notFound', 'methodNotAllowed', 'tooLarge');

function errorAnswers(...without: readonly RequestErrorName[]): Record<number, Answer> {
  const errors = Object.entries(REQUEST_ERRORS).filter(([name]) => !without.some((other) => other === name));
  const statuses = new Set(errors.map(([, { status }]) => status));
  return Object.fromEntries(
    Array.from(statuses, (status) => {
      const those = errors.filter(([, error]) => error.status === status);
      const texts = those.map(([, { text }]) => text.replace(/\.?$/, '.'));
      const headers = status === 503 ? { 'Retry-After': 'In seconds.' } : undefined;
      return [status, json(texts.join(' '), PROBLEM, headers)];
    }),
  );
}

const APP: Parameter = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'Id of the app.',
  schema: { type: 'string' },
};

function signed(name: string, description: string, isRequired: boolean): Parameter {
  return { name, in: 'query', required: isRequired, description, schema: { type: 'string' } };
}

/** What signs a request; the SDKs add it. */
const SIGNED: readonly Parameter[] = [
  APP,
  signed('auth_key', 'Key of the app.', true),
  {
    name: 'auth_timestamp',
    in: 'query',
    required: true,
    description: 'Now, in seconds since the epoch: within 600 s of the clock of the server.',
    schema: { type: 'integer' },
  },
  {
    name: 'auth_version',
    in: 'query',
    required: true,
    description: 'Of the way to sign.',
    schema: { const: '1.0' },
  },
  signed(
    'auth_signature',
    'HMAC-SHA256 in hex, by the secret of the app, of the method, the path and all other parameters in the order of their names, with a line feed between the three.',
    true,
  ),
];

const BODY_MD5 = signed('body_md5', 'MD5 of the body in hex; needed with a body.', false);

const CHANNEL: Parameter = {
  name: 'name',
  in: 'path',
  required: true,
  description: 'Name of a channel.',
  schema: { type: 'string' },
};

const INFO_VALUE = {
  type: ['string', 'null'],
  description: 'Which of `user_count`, `subscription_count` and `cache` to tell, with commas between.',
} as const;

const INFO: Parameter = {
  name: 'info',
  in: 'query',
  description: INFO_VALUE.description,
  schema: { type: 'string' },
};

const COUNTS = {
  user_count: { ...COUNT, description: 'Users of a presence channel.' },
  subscription_count: COUNT,
} as const;

const FACTS = { type: 'object', properties: COUNTS, additionalProperties: false } as const;

const CHANNEL_FACTS = {
  title: 'PusherChannel',
  type: 'object',
  properties: {
    occupied: { type: 'boolean', description: 'Whether it has subscribers.' },
    ...COUNTS,
    cache: {
      type: ['object', 'null'],
      description: 'Last event of a cache channel.',
      properties: { data: { type: 'string' }, ttl: { ...COUNT, description: 'In seconds.' } },
      required: ['data', 'ttl'],
      additionalProperties: false,
    },
  },
  required: ['occupied'],
  additionalProperties: false,
} as const;

const CHANNEL_NAME = { type: 'string', minLength: 1, description: 'Name of a channel.' } as const;

const EVENT_MEMBERS = {
  name: { type: 'string', minLength: 1, description: 'Name of the event.' },
  data: { description: 'A text; of other values the JSON text is sent.' },
  socket_id: {
    type: ['string', 'null'],
    pattern: '^[0-9]{1,20}\\.[0-9]{1,20}$',
    description: 'The connection that does not get it.',
  },
  info: INFO_VALUE,
} as const;

const EVENT = {
  title: 'PusherEvent',
  type: 'object',
  properties: {
    ...EVENT_MEMBERS,
    channels: { type: 'array', items: CHANNEL_NAME, minItems: 1, maxItems: 100 },
    channel: CHANNEL_NAME,
  },
  required: ['name', 'data'],
  anyOf: [{ required: ['channels'] }, { required: ['channel'] }],
} as const;

const BATCH = {
  title: 'PusherBatch',
  type: 'object',
  properties: {
    batch: {
      type: 'array',
      maxItems: 10,
      items: {
        type: 'object',
        properties: { ...EVENT_MEMBERS, channel: CHANNEL_NAME },
        required: ['name', 'data', 'channel'],
      },
    },
  },
  required: ['batch'],
} as const;

const TRIGGERED = {
  type: 'object',
  properties: { channels: { type: 'object', additionalProperties: FACTS } },
  additionalProperties: false,
} as const;

const BATCH_TRIGGERED = {
  type: 'object',
  properties: { batch: { type: 'array', items: FACTS } },
  additionalProperties: false,
} as const;

const OCCUPIED = {
  type: 'object',
  properties: { channels: { type: 'object', additionalProperties: FACTS } },
  required: ['channels'],
  additionalProperties: false,
} as const;

const USERS_OF_CHANNEL = {
  type: 'object',
  properties: {
    users: {
      type: 'array',
      items: {
        type: 'object',
        properties: { id: { type: 'string' } },
        required: ['id'],
        additionalProperties: false,
      },
    },
  },
  required: ['users'],
  additionalProperties: false,
} as const;

export type Triggered = Described<typeof TRIGGERED>;
export type BatchTriggered = Described<typeof BATCH_TRIGGERED>;
export type Occupied = Described<typeof OCCUPIED>;
export type UsersOfChannel = Described<typeof USERS_OF_CHANNEL>;
/** What is told of a channel that was asked for. */
export type ChannelFacts = Described<typeof CHANNEL_FACTS>;
/** What is told of one of several. */
export type CountsOfChannel = Described<typeof FACTS>;

export const TRIGGER: Operation = {
  id: 'pusherTrigger',
  method: 'POST',
  path: '/apps/{id}/events',
  tag: TAG,
  summary: 'Trigger an event on one channel or several',
  parameters: [...SIGNED, BODY_MD5],
  body: { schema: EVENT, example: { name: 'greeting', channels: ['news'], data: '{"from":"the server"}' } },
  answers: {
    200: json('The broker has confirmed it; `channels` with what was asked about them.', TRIGGERED),
  },
  errors: ERRORS,
};

export const TRIGGER_BATCH: Operation = {
  id: 'pusherTriggerBatch',
  method: 'POST',
  path: '/apps/{id}/batch_events',
  tag: TAG,
  summary: 'Trigger up to 10 events',
  parameters: [...SIGNED, BODY_MD5],
  body: {
    schema: BATCH,
    example: { batch: [{ name: 'greeting', channel: 'news', data: '{"from":"the server"}' }] },
  },
  answers: { 200: json('The broker has confirmed all; `batch` if anything was asked.', BATCH_TRIGGERED) },
  errors: ERRORS,
};

export const CHANNELS: Operation = {
  id: 'pusherChannels',
  method: 'GET',
  path: '/apps/{id}/channels',
  tag: TAG,
  summary: 'The channels that have subscribers, on all farms of the same Redis',
  parameters: [
    ...SIGNED,
    {
      name: 'filter_by_prefix',
      in: 'query',
      description: 'Only those whose names begin so. `user_count` needs `presence-`.',
      schema: { type: 'string' },
    },
    INFO,
  ],
  answers: { 200: json('By name.', OCCUPIED) },
  errors: ERRORS_OF_GET,
};

export const CHANNEL_INFO: Operation = {
  id: 'pusherChannel',
  method: 'GET',
  path: '/apps/{id}/channels/{name}',
  tag: TAG,
  summary: 'One channel',
  parameters: [...SIGNED, CHANNEL, INFO],
  answers: { 200: json('Whether or not it has subscribers.', CHANNEL_FACTS) },
  errors: ERRORS_OF_GET,
};

export const USERS: Operation = {
  id: 'pusherUsers',
  method: 'GET',
  path: '/apps/{id}/channels/{name}/users',
  tag: TAG,
  summary: 'The users of a presence channel',
  parameters: [...SIGNED, CHANNEL],
  answers: { 200: json('All of them.', USERS_OF_CHANNEL) },
  errors: ERRORS_OF_GET,
};

export const TERMINATE: Operation = {
  id: 'pusherTerminateUser',
  method: 'POST',
  path: '/apps/{id}/users/{name}/terminate_connections',
  tag: TAG,
  summary: 'Close all connections of a user, with 4009',
  parameters: [...SIGNED, { ...CHANNEL, description: 'Id of a user who has signed in.' }, BODY_MD5],
  body: { schema: { description: 'Not read: SDKs send an empty object.' }, example: {} },
  answers: { 200: json('Every farm has been told.', NOTHING) },
  errors: ERRORS,
};

export const PUSHER_OPERATIONS: readonly Operation[] = [
  TRIGGER,
  TRIGGER_BATCH,
  CHANNELS,
  CHANNEL_INFO,
  USERS,
  TERMINATE,
];
