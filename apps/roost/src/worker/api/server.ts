import type { IncomingMessage, ServerResponse } from 'node:http';
import type { WorkerContext } from '@roost/farm';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WorkerOptions } from '../options.ts';
import { keyCheck } from './authorize.ts';
import { ACCEPTED_ENCODINGS, decodeBody } from './body-encoding.ts';
import { ApiError, apiErrorOf } from './errors.ts';
import { routeOf } from '../../openapi/operation.ts';
import { describeProblem } from './body-problem.ts';
import { ApiMethods } from './methods.ts';
import type { BroadcastRequest, ChannelsRequest, PublishRequest } from './methods.ts';
import { BROADCAST, CHANNELS, INFO, PUBLISH } from './operations.ts';
import { readRequest } from './request.ts';

export interface ApiServer {
  answer(request: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

/**
 * The HTTP API in the shape of Centrifugo's: POST /api/<method> with a JSON object, answered with `{"result":…}` or with
 * `{"error":{"code","message"}}` and its HTTP status. It listens nowhere: the worker's own HTTP server gives it requests.
 */
export async function createApiServer(context: WorkerContext, options: WorkerOptions): Promise<ApiServer> {
  const app = fastify({
    logger: false,
    bodyLimit: options.api.maxBodyBytes,
    // A body is taken as it is or refused: "7" is not a number here, and a misspelt field is not dropped in silence.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    schemaErrorFormatter: ([problem]) => new ApiError('badRequest', describeProblem(problem)),
    frameworkErrors: (_error, _request, reply) => {
      send(reply, new ApiError('methodNotFound'));
    },
  });
  readBodiesAsJson(app, options.api.maxBodyBytes);

  const isAuthorized = keyCheck(options.api.keyDigest);
  app.addHook('onRequest', async (request, reply) => {
    if (isAuthorized(request.headers)) return;
    // The body of a stranger is not read.
    void reply.header('WWW-Authenticate', 'apikey realm="roost"').header('Connection', 'close');
    throw new ApiError('unauthorized', 'show the API key in the header X-API-Key');
  });
  app.setErrorHandler((error, _request, reply) => {
    send(reply, answerFor(error, context, options));
  });
  app.setNotFoundHandler((request, reply) => {
    if (!app.hasRoute({ method: 'POST', url: request.url.split('?')[0] ?? '' })) {
      throw new ApiError('methodNotFound');
    }
    void reply.header('Allow', 'POST');
    throw new ApiError('methodNotAllowed', 'every method is a POST');
  });

  const methods = new ApiMethods(context, options);
  app.route<{ Body: PublishRequest }>({
    ...routeOf(PUBLISH),
    handler: ({ body }) => result(methods.publish(body)),
  });
  app.route<{ Body: BroadcastRequest }>({
    ...routeOf(BROADCAST),
    handler: ({ body }) => result(methods.broadcast(body)),
  });
  app.route<{ Body: ChannelsRequest }>({
    ...routeOf(CHANNELS),
    handler: ({ body }, reply) => channelsReply(reply, methods.channels(body)),
  });
  app.route({ ...routeOf(INFO), handler: () => result(methods.info()) });

  await app.ready();
  return {
    answer(request, response) {
      // Whatever it says: curl's own default would be a form, and Fastify refuses one that is empty or has no slash.
      request.headers['content-type'] = 'application/json';
      app.routing(request, response);
    },
    close: () => app.close(),
  };
}

async function result(work: Promise<object>): Promise<object> {
  return { result: await work };
}

/** What is known, with the status of what is missing: a caller that reads only the channels must not take them for all. */
async function channelsReply(reply: FastifyReply, work: ReturnType<ApiMethods['channels']>): Promise<object> {
  const { result: known, error } = await work;
  if (error === undefined) return { result: known };
  void reply.code(error.status).header('Retry-After', '1');
  return { ...error.body, result: known };
}

/** A missing body is an empty object. */
function readBodiesAsJson(app: FastifyInstance, maxBytes: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, sent: Buffer) => {
    const body = await decodeBody(sent, request.headers['content-encoding'], maxBytes);
    return body.length === 0 ? {} : readRequest(body);
  });
  app.addHook('preValidation', async (request) => {
    request.body ??= {};
  });
}

function answerFor(error: unknown, context: WorkerContext, options: WorkerOptions): ApiError {
  const known = apiErrorOf(error);
  if (known !== undefined) return known;
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) {
    return new ApiError(
      'limitExceeded',
      `a body has at most ${options.api.maxBodyBytes} bytes (api.maxBodyBytes)`,
    );
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new ApiError('badRequest', error instanceof Error ? error.message : undefined);
  }
  context.log.error({ error: error instanceof Error ? error.stack : String(error) }, 'api request failed');
  return new ApiError('internal');
}

function send(reply: FastifyReply, error: ApiError): void {
  // RFC 9110 §15.5.16.
  if (error.status === 415) void reply.header('Accept-Encoding', ACCEPTED_ENCODINGS);
  void reply.code(error.status).send(error.body);
}
