import { API_OPERATIONS, READINESS } from '../worker/api/operations.ts';
import { PUSHER_OPERATIONS } from '../worker/dialects/pusher/api/operations.ts';
import type { Api } from './document.ts';
import { json } from './operation.ts';
import type { Operation } from './operation.ts';

const LIVE = { type: 'object', properties: { status: { const: 'live' } }, required: ['status'] } as const;

const HEALTH: readonly Operation[] = [
  {
    id: 'live',
    method: 'GET',
    path: '/health/live',
    tag: 'Health',
    summary: 'Whether a worker answers',
    answers: { 200: json('It does.', { ...LIVE, additionalProperties: false }) },
    errors: {},
    isOpen: true,
  },
  {
    id: 'ready',
    method: 'GET',
    path: '/health/ready',
    tag: 'Health',
    summary: 'Whether new clients should be sent here',
    answers: { 200: json('They should.', READINESS), 503: json('They should not: it says why.', READINESS) },
    errors: {},
    isOpen: true,
  },
];

/** Of the Pusher dialect, which is there where an app is configured. A request shows a signature, and no key. */
const PUSHER = PUSHER_OPERATIONS.map((operation) => ({ ...operation, isOpen: true }));

/** What the port for clients answers to back ends and load balancers. */
export const PUBLIC_API: Api = {
  title: 'Roost HTTP API',
  description: `Every worker answers it, on the port of the WebSockets. A body is read as JSON whatever its Content-Type; with \`Content-Encoding: gzip\` it may be compressed, and \`api.maxBodyBytes\` holds before and after inflating.

Another path below /api/ is answered with 404 and the error 104, another HTTP method with 405 and the error 107. What the port itself may answer, whatever is asked, is in docs/reference/errors.md under "HTTP statuses".`,
  port: 8080,
  tags: {
    Publishing: 'Publications, in the shape of Centrifugo’s server API.',
    Figures: 'What there is on this farm.',
    Health: 'For load balancers and orchestrators.',
    Pusher:
      'The HTTP API of Pusher Channels, which its SDKs speak: with an app configured, below `pusher.pathPrefix`. Every request is signed.',
  },
  security: {
    apiKey: {
      type: 'apiKey',
      in: 'header',
      name: 'X-API-Key',
      description: 'The key of the option `api.key`.',
    },
    authorization: {
      type: 'apiKey',
      in: 'header',
      name: 'Authorization',
      description: '`Authorization: apikey <key>`, as an alternative.',
    },
  },
  operations: [...API_OPERATIONS, ...HEALTH, ...PUSHER],
};
