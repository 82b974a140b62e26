import type { JSONSchema } from 'json-schema-to-ts';
import { json } from '../../openapi/operation.ts';
import type { Answer, Described, Operation } from '../../openapi/operation.ts';
import { API_ERRORS } from './errors.ts';
import type { ApiErrorName } from './errors.ts';

const NOTHING = { type: 'object', properties: {}, additionalProperties: false } as const;

/** What is published. By the time that a body is checked, `data` has become text; see readRequest(). */
const PAYLOAD = {
  data: {
    description:
      'Any JSON value. A string is sent unchanged, everything else as compact JSON that keeps its numbers and the order of its keys. Exactly one of `data` and `b64data` is given.',
  },
  b64data: { type: 'string', description: 'Bytes, in padded base64: sent as a binary message.' },
} as const;

const CHANNEL = {
  type: 'string',
  description: 'Name of a channel: 1 to `maxChannelBytes` (255) bytes of UTF-8 without control characters.',
} as const;

/** What the figures of an answer are of: all or only some of the workers. */
const COMPLETENESS = {
  scope: { const: 'farm', description: 'They are of this farm only, whatever else is on its Redis.' },
  partial: { type: 'boolean', description: 'Whether workers did not answer within a second.' },
  unanswered_workers: {
    type: 'array',
    items: { type: 'integer', minimum: 0 },
    description: 'Those workers, by their index.',
  },
} as const;

const COUNT = { type: 'integer', minimum: 0 } as const;

export const READINESS = {
  title: 'Readiness',
  type: 'object',
  properties: {
    ready: { type: 'boolean', description: 'Whether new clients should be sent here.' },
    reasons: { type: 'array', items: { type: 'string' }, description: 'Why not: empty when ready.' },
  },
  required: ['ready', 'reasons'],
  additionalProperties: false,
} as const;

const WORKER = {
  title: 'Worker',
  type: 'object',
  description: 'One worker, as the master last heard of it.',
  properties: {
    worker: { ...COUNT, description: 'Its index; a worker that is started again keeps it.' },
    pid: { ...COUNT, description: 'Process id; 0 while it has no process.' },
    cpu: { type: ['integer', 'null'], minimum: 0, description: 'The CPU that it is pinned to.' },
    state: { enum: ['starting', 'ready', 'draining', 'stopped', 'failed'] },
    connections: { ...COUNT, description: 'Open WebSocket connections.' },
    capacity: { ...COUNT, description: 'The most connections that it takes.' },
    subscriptions: { ...COUNT, description: 'Pairs of a connection and a channel.' },
    outboundBytes: { ...COUNT, description: 'Bytes in the queues of slow clients.' },
    restarts: { ...COUNT, description: 'How often it died and was started again.' },
  },
  required: [
    'worker',
    'pid',
    'cpu',
    'state',
    'connections',
    'capacity',
    'subscriptions',
    'outboundBytes',
    'restarts',
  ],
  additionalProperties: false,
} as const;

const NODE = {
  title: 'Node',
  type: 'object',
  description: 'A farm.',
  properties: {
    uid: { type: 'string', pattern: '^[0-9a-f-]{36}$', description: 'Made anew at each start.' },
    name: { type: 'string', description: 'Name of the host.' },
    version: { type: 'string' },
    num_clients: { ...COUNT, description: 'Open WebSocket connections.' },
    num_subs: { ...COUNT, description: 'Pairs of a connection and a channel.' },
    uptime: { ...COUNT, description: 'In seconds.' },
    broker: {
      type: 'object',
      properties: {
        kind: { enum: ['memory', 'redis'] },
        state: { type: 'string', description: '`connecting`, `ready`, `away` or `stopped`.' },
        reason: { type: 'string', description: 'Why. It may name the address of Redis.' },
      },
      required: ['kind', 'state', 'reason'],
      additionalProperties: false,
    },
    readiness: READINESS,
    workers: { type: 'array', items: WORKER },
    counters: {
      type: 'object',
      additionalProperties: { type: 'number' },
      description: 'Sums over master and workers since the start; docs/reference/counters.md lists them.',
    },
    ...COMPLETENESS,
  },
  required: [
    'uid',
    'name',
    'version',
    'num_clients',
    'num_subs',
    'uptime',
    'broker',
    'readiness',
    'workers',
    'counters',
    'scope',
    'partial',
    'unanswered_workers',
  ],
  additionalProperties: false,
} as const;

const CHANNELS_RESULT = {
  title: 'Channels',
  type: 'object',
  properties: {
    channels: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        properties: { num_clients: { type: 'integer', minimum: 1 } },
        required: ['num_clients'],
        additionalProperties: false,
      },
      description: 'By name: those with subscribers.',
    },
    ...COMPLETENESS,
  },
  required: ['channels', 'scope', 'partial', 'unanswered_workers'],
  additionalProperties: false,
} as const;

export type NodeFacts = Described<typeof NODE>;
export type ChannelsResult = Described<typeof CHANNELS_RESULT>;

/** What every method may answer, before it does anything. */
const COMMON = [
  'badRequest',
  'unauthorized',
  'limitExceeded',
  'unsupportedEncoding',
  'internal',
] as const satisfies readonly ApiErrorName[];

/** What became of a publication that was not confirmed. */
const OF_PUBLISHING = [
  'brokerUnavailable',
  'brokerOverloaded',
  'stopping',
  'brokerRefused',
  'outcomeUnknown',
] as const satisfies readonly ApiErrorName[];

const HEADERS: Readonly<Record<number, Answer['headers']>> = {
  401: { 'WWW-Authenticate': 'How to show a key.' },
  415: { 'Accept-Encoding': 'How a body may be encoded.' },
};

/** The answers for these errors, by status. */
function errorAnswers(names: readonly ApiErrorName[]): Record<number, Answer> {
  const statuses = new Set(names.map((name) => API_ERRORS[name].status));
  return Object.fromEntries(
    Array.from(statuses, (status) => {
      const those = names.filter((name) => API_ERRORS[name].status === status);
      const description = those.map((name) => `${API_ERRORS[name].code}: ${API_ERRORS[name].text}.`);
      return [status, json(description.join(' '), errorBody(those), HEADERS[status])];
    }),
  );
}

function errorBody(names: readonly ApiErrorName[]): JSONSchema {
  return {
    type: 'object',
    properties: { error: errorMember(names) },
    required: ['error'],
    additionalProperties: false,
  };
}

function errorMember(names: readonly ApiErrorName[]): JSONSchema {
  return {
    type: 'object',
    properties: {
      code: { enum: names.map((name) => API_ERRORS[name].code) },
      message: { type: 'string', description: 'What exactly was wrong, in words.' },
    },
    required: ['code', 'message'],
    additionalProperties: false,
  };
}

function resultOf(result: JSONSchema): JSONSchema {
  return { type: 'object', properties: { result }, required: ['result'], additionalProperties: false };
}

const TAG = 'Publishing';

export const PUBLISH = {
  id: 'publish',
  method: 'POST',
  path: '/api/publish',
  tag: TAG,
  summary: 'Publish to a channel',
  description:
    'Answered when the broker has confirmed it: what is published after the answer, through any worker, arrives after it. Receivers are not counted.',
  body: {
    schema: {
      type: 'object',
      properties: { channel: CHANNEL, ...PAYLOAD },
      required: ['channel'],
      additionalProperties: false,
    },
    example: { channel: 'news', data: { goals: [2, 1] } },
  },
  answers: { 200: json('Published.', resultOf(NOTHING)) },
  errors: errorAnswers([...COMMON, ...OF_PUBLISHING]),
} as const satisfies Operation;

export const BROADCAST = {
  id: 'broadcast',
  method: 'POST',
  path: '/api/broadcast',
  tag: TAG,
  summary: 'Publish to several channels',
  description: 'At most `api.maxBroadcastChannels`. One that fails does not hold up the others.',
  body: {
    schema: {
      type: 'object',
      properties: { channels: { type: 'array', items: CHANNEL, minItems: 1 }, ...PAYLOAD },
      required: ['channels'],
      additionalProperties: false,
    },
    example: { channels: ['news', 'sports'], data: 'hello' },
  },
  answers: {
    200: json(
      'What became of each: read every response.',
      resultOf({
        type: 'object',
        properties: {
          responses: {
            type: 'array',
            description: 'In the order of the channels.',
            items: {
              oneOf: [resultOf(NOTHING), errorBody(['badRequest', 'internal', ...OF_PUBLISHING])],
            },
          },
        },
        required: ['responses'],
        additionalProperties: false,
      }),
    ),
  },
  errors: errorAnswers(COMMON),
} as const satisfies Operation;

export const CHANNELS = {
  id: 'channels',
  method: 'POST',
  path: '/api/channels',
  tag: 'Figures',
  summary: 'The channels of this farm that have subscribers',
  body: {
    schema: {
      type: 'object',
      properties: {
        pattern: {
          type: 'string',
          minLength: 1,
          maxLength: 1024,
          description: 'Only those whose name matches, with `*` and `?`.',
        },
      },
      additionalProperties: false,
    },
    example: { pattern: 'sp*' },
  },
  answers: { 200: json('All of them.', resultOf(CHANNELS_RESULT)) },
  errors: {
    ...errorAnswers(COMMON),
    503: {
      description:
        '1004: farm is stopping. 1005: no answer from the farm. 1007: partial answer, with what is known.',
      headers: { 'Retry-After': 'Of a partial answer: in seconds.' },
      content: {
        'application/json': {
          oneOf: [
            errorBody(['stopping', 'noAnswer']),
            {
              type: 'object',
              properties: { error: errorMember(['partial']), result: CHANNELS_RESULT },
              required: ['error', 'result'],
              additionalProperties: false,
            },
          ],
        },
      },
    },
  },
} as const satisfies Operation;

export const INFO = {
  id: 'info',
  method: 'POST',
  path: '/api/info',
  tag: 'Figures',
  summary: 'This farm, with its workers and counters',
  description: 'Of workers that do not answer within a second it has the last report, and names them.',
  body: { schema: NOTHING, example: {} },
  answers: {
    200: json(
      'One node.',
      resultOf({
        type: 'object',
        properties: { nodes: { type: 'array', items: NODE, minItems: 1, maxItems: 1 } },
        required: ['nodes'],
        additionalProperties: false,
      }),
    ),
  },
  errors: errorAnswers([...COMMON, 'stopping', 'noAnswer']),
} as const satisfies Operation;

export const API_OPERATIONS: readonly Operation[] = [PUBLISH, BROADCAST, CHANNELS, INFO];
