import { json } from '../openapi/operation.ts';
import type { Answer, BodyOf, Operation } from '../openapi/operation.ts';
import {
  CHANNEL_NAME,
  CONNECTION_DETAILS,
  MEMBER_CHANNELS,
  OVERVIEW as OVERVIEW_ANSWER,
  SHOWN_CHANGES,
  SHOWN_MEMBERS,
  SHOWN_WEBHOOKS,
  TOP_CHANNELS,
} from './answers.ts';

const NOTHING = { type: 'object', properties: {}, additionalProperties: false } as const;

const PROBLEM = {
  title: 'Problem',
  type: 'object',
  properties: { error: { type: 'string', description: 'What was wrong, in words.' } },
  required: ['error'],
  additionalProperties: false,
} as const;

const TEXT = { type: 'string' } as const;

/** Before a request is let in, there is only text for it. */
function refused(description: string, headers?: Answer['headers']): Answer {
  return { description, content: { 'text/plain': TEXT }, ...(headers !== undefined && { headers }) };
}

const OF_THE_GATE = {
  401: refused('The admin token is missing or wrong.', { 'WWW-Authenticate': 'How to show it.' }),
  403: refused('A listener on a loopback address was asked by another name than that.'),
} as const;

const COMMON = {
  ...OF_THE_GATE,
  500: json('An unexpected failure: see the log.', PROBLEM),
  503: {
    description: 'The farm starts or stops, or its workers did not answer.',
    content: { 'application/json': PROBLEM, 'text/plain': TEXT },
    headers: { 'Retry-After': 'While it starts: in seconds.' },
  },
} as const satisfies Operation['errors'];

const OF_BODIES = {
  400: json('The body does not fit, or what it asks for cannot be done.', PROBLEM),
  413: json('The body has more than 64 KiB.', PROBLEM),
  415: json('The body does not say that it is `application/json`.', PROBLEM),
} as const satisfies Operation['errors'];

export const METRICS = {
  id: 'metrics',
  method: 'GET',
  path: '/metrics',
  tag: 'Watching',
  summary: 'Metrics for Prometheus',
  description:
    'docs/reference/metrics.md lists them. On a loopback address for which no token was chosen, it needs none.',
  answers: {
    200: {
      description: 'In the text format of Prometheus, or in OpenMetrics for who accepts that.',
      content: { 'text/plain': TEXT, 'application/openmetrics-text': TEXT },
    },
  },
  errors: COMMON,
} as const satisfies Operation;

export const OVERVIEW = {
  id: 'overview',
  method: 'GET',
  path: '/api/overview',
  tag: 'Watching',
  summary: 'The farm as the dashboard shows it',
  description: 'Workers are asked once a second at most.',
  answers: { 200: json('Figures of all workers.', OVERVIEW_ANSWER) },
  errors: COMMON,
} as const satisfies Operation;

export const CHANNELS = {
  id: 'topChannels',
  method: 'GET',
  path: '/api/channels',
  tag: 'Watching',
  summary: 'The channels with the most subscribers on this farm',
  answers: { 200: json('Largest first.', TOP_CHANNELS) },
  errors: COMMON,
} as const satisfies Operation;

export const PRESENCE = {
  id: 'presence',
  method: 'GET',
  path: '/api/presence',
  tag: 'Watching',
  summary: 'The channels with the most members on this farm',
  answers: { 200: json('Largest first.', MEMBER_CHANNELS) },
  errors: COMMON,
} as const satisfies Operation;

export const MEMBERS = {
  id: 'members',
  method: 'GET',
  path: '/api/members',
  tag: 'Watching',
  summary: 'Who is in a channel, on all farms of the same Redis',
  parameters: [
    {
      name: 'channel',
      in: 'query',
      required: true,
      description: CHANNEL_NAME.description,
      schema: { type: 'string' },
    },
  ],
  answers: { 200: json('At most 200 of them.', SHOWN_MEMBERS) },
  errors: { ...COMMON, 400: json('The channel is missing, or has no valid name.', PROBLEM) },
} as const satisfies Operation;

export const WEBHOOKS = {
  id: 'webhooks',
  method: 'GET',
  path: '/api/webhooks',
  tag: 'Watching',
  summary: 'The webhooks of Pusher apps, and what waits for each',
  answers: { 200: json('Empty where none are configured.', SHOWN_WEBHOOKS) },
  errors: COMMON,
} as const satisfies Operation;

export const CHANGES = {
  id: 'changes',
  method: 'GET',
  path: '/api/changes',
  tag: 'Watching',
  summary: 'Reloads and other changes of the farm: the one under way, and the one before',
  answers: { 200: json('Empty where there was none since the start of the farm.', SHOWN_CHANGES) },
  errors: COMMON,
} as const satisfies Operation;

export const CONNECTION = {
  id: 'connection',
  method: 'GET',
  path: '/api/connections/{id}',
  tag: 'Watching',
  summary: 'What is known of a connection',
  parameters: [
    {
      name: 'id',
      in: 'path',
      required: true,
      description: 'As the log and the application have it.',
      schema: { type: 'string' },
    },
  ],
  answers: { 200: json('It is there.', CONNECTION_DETAILS) },
  errors: { ...COMMON, 404: json('There is no connection of this id.', PROBLEM) },
} as const satisfies Operation;

export const PUBLISH = {
  id: 'publish',
  method: 'POST',
  path: '/api/publish',
  tag: 'Acting',
  summary: 'Publish a text to a channel',
  body: {
    schema: {
      type: 'object',
      properties: { channel: CHANNEL_NAME, data: { type: 'string' } },
      required: ['channel', 'data'],
      additionalProperties: false,
    },
    example: { channel: 'news', data: 'hello' },
  },
  answers: { 200: json('The broker has confirmed it.', NOTHING) },
  errors: { ...COMMON, ...OF_BODIES },
} as const satisfies Operation;

export const DISCONNECT = {
  id: 'disconnect',
  method: 'POST',
  path: '/api/disconnect',
  tag: 'Acting',
  summary: 'Close one connection, all of a user, or all subscribers of a channel',
  description: 'Exactly one of `connection`, `user` and `channel` is given. It is logged.',
  body: {
    schema: {
      type: 'object',
      properties: {
        connection: { type: 'string', description: 'Id of a connection of this farm.' },
        user: { type: 'string', description: 'On all farms of the same Redis.' },
        channel: { type: 'string', description: 'On all farms of the same Redis.' },
        code: { type: 'integer', description: 'Close code: 4500 unless another is given.' },
        reason: { type: 'string', description: 'At most 123 bytes.' },
      },
      oneOf: [{ required: ['connection'] }, { required: ['user'] }, { required: ['channel'] }],
      additionalProperties: false,
    },
    example: { user: 'ada', code: 4500, reason: 'signed out' },
  },
  answers: {
    200: json('Done.', {
      type: 'object',
      properties: {
        isFound: {
          type: 'boolean',
          description: 'Whether the connection was there; for users and channels true.',
        },
      },
      required: ['isFound'],
      additionalProperties: false,
    }),
  },
  errors: { ...COMMON, ...OF_BODIES },
} as const satisfies Operation;

export const DRAIN = {
  id: 'drain',
  method: 'POST',
  path: '/api/drain',
  tag: 'Acting',
  summary: 'Drain the farm and end it',
  body: {
    schema: {
      type: 'object',
      properties: {
        confirm: { const: 'drain', description: 'Said again, so that nobody drains a farm by a slip.' },
      },
      required: ['confirm'],
      additionalProperties: false,
    },
    example: { confirm: 'drain' },
  },
  answers: { 202: json('It has begun.', NOTHING) },
  errors: { ...COMMON, ...OF_BODIES },
} as const satisfies Operation;

export type PublishBody = BodyOf<typeof PUBLISH>;
export type DisconnectBody = BodyOf<typeof DISCONNECT>;

export const ADMIN_OPERATIONS: readonly Operation[] = [
  METRICS,
  OVERVIEW,
  CHANNELS,
  PRESENCE,
  MEMBERS,
  WEBHOOKS,
  CHANGES,
  CONNECTION,
  PUBLISH,
  DISCONNECT,
  DRAIN,
];
