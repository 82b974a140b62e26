import type { IncomingMessage, ServerResponse } from 'node:http';
import { FarmError } from '@roost/farm';
import type { Farm, Log } from '@roost/farm';
import { fastify } from 'fastify';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { FarmWatch } from './farm-watch.ts';
import { takesGzip, zipped } from './gzip.ts';
import { Expositions } from './metrics/exposition.ts';
import { overviewOf } from './overview-of.ts';
import { routeOf } from '../openapi/operation.ts';
import type { Webhooks } from '../webhooks/start-webhooks.ts';
import type {
  ConnectionDetails,
  MemberChannels,
  Overview,
  ShownChanges,
  ShownMembers,
  ShownWebhooks,
  TopChannels,
} from './answers.ts';
import { changesOf } from './changes-of.ts';
import {
  CHANGES,
  CHANNELS,
  CONNECTION,
  DISCONNECT,
  DRAIN,
  MEMBERS,
  METRICS,
  OVERVIEW,
  PRESENCE,
  PUBLISH,
  WEBHOOKS,
} from './operations.ts';
import type { DisconnectBody, PublishBody } from './operations.ts';

/** Bytes of the body of one request. */
const MAX_BODY_BYTES = 64 * 1024;
const TOP_CHANNELS = 20;
const SHOWN_MEMBERS = 200;

export interface AdminServer {
  /** Answers a request that the gate has let in. */
  answer(request: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

/** What is told of. */
export interface Watched {
  readonly farm: Farm;
  /** Undefined where none are configured. */
  readonly webhooks: Pick<Webhooks, 'states'> | undefined;
}

/** What the admin listener serves. It listens nowhere: the listener gives it requests, the first of which loads it. */
export async function createAdminServer({ farm, webhooks }: Watched, log: Log): Promise<AdminServer> {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
  });
  app.setErrorHandler((error, _request, reply) => answerError(error, reply, log));
  // Before a body is read, for which there would be another limit.
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) await reply.code(404).header('Connection', 'close').send({ error: 'nothing is here' });
  });
  const watch = new FarmWatch(farm);
  serveMetrics(app, new Expositions(watch, () => webhooks?.states ?? []));
  app.route({
    ...routeOf(OVERVIEW),
    handler: async (): Promise<Overview> => overviewOf(await watch.observe(), farm.readiness()),
  });
  app.route({
    ...routeOf(WEBHOOKS),
    handler: (): ShownWebhooks => ({ webhooks: webhooks?.states ?? [] }),
  });
  app.route({
    ...routeOf(CHANGES),
    handler: (): ShownChanges => ({ changes: changesOf(farm.changes.status()) }),
  });
  serveChannels(app, farm);
  serveOperations(app, farm, log);
  await app.ready();
  return {
    answer: (request, response) => app.routing(request, response),
    close: () => app.close(),
  };
}

function serveMetrics(app: FastifyInstance, expositions: Expositions): void {
  app.route({
    ...routeOf(METRICS),
    async handler(request, reply) {
      const { contentType, body } = await expositions.read(request.headers.accept);
      void reply.header('Content-Type', contentType).header('Vary', 'Accept, Accept-Encoding');
      if (!takesGzip(request.headers['accept-encoding'])) return body;
      void reply.header('Content-Encoding', 'gzip');
      return zipped(body);
    },
  });
}

function serveChannels(app: FastifyInstance, { operations }: Farm): void {
  app.route({
    ...routeOf(CHANNELS),
    handler: async (): Promise<TopChannels> => ({ channels: await operations.topChannels(TOP_CHANNELS) }),
  });
  app.route({
    ...routeOf(PRESENCE),
    handler: async (): Promise<MemberChannels> => ({
      channels: await operations.topMemberChannels(TOP_CHANNELS),
    }),
  });
  app.route<{ Querystring: { channel: string } }>({
    ...routeOf(MEMBERS),
    handler: ({ query }): Promise<ShownMembers> => operations.members(query.channel, SHOWN_MEMBERS),
  });
}

/** What changes something is logged: it was done by whoever has the token. */
function serveOperations(app: FastifyInstance, farm: Farm, log: Log): void {
  const { operations } = farm;
  app.route<{ Params: { id: string } }>({
    ...routeOf(CONNECTION),
    async handler({ params }, reply) {
      const details: ConnectionDetails | undefined = await operations.connection(params.id);
      if (details !== undefined) return details;
      return reply.code(404).send({ error: 'there is no connection of this id' });
    },
  });
  app.route<{ Body: PublishBody }>({
    ...routeOf(PUBLISH),
    async handler({ body }) {
      await operations.publish(body.channel, body.data);
      return {};
    },
  });
  app.route<{ Body: DisconnectBody }>({
    ...routeOf(DISCONNECT),
    async handler({ body }) {
      const { code, reason, ...target } = body;
      const isFound = await operations.disconnect(target, {
        ...(code !== undefined && { code }),
        ...(reason !== undefined && { reason }),
      });
      log.info({ ...target, code, isFound }, 'disconnected by an operator');
      return { isFound };
    },
  });
  app.route({
    ...routeOf(DRAIN),
    async handler(_request, reply) {
      log.warn({}, 'an operator drains the farm');
      // Who waits for its end would be ended by it.
      farm.drain().catch((error: unknown) => log.error({ error: String(error) }, 'drain failed'));
      return reply.code(202).send({});
    },
  });
}

function answerError(error: unknown, reply: FastifyReply, log: Log): void {
  const [status, message] = describe(error);
  if (status === 500) {
    log.error({ error: error instanceof Error ? error.stack : String(error) }, 'admin request failed');
  }
  void reply.code(status).send({ error: message });
}

/** Which status says what has happened, and in which words. */
function describe(error: unknown): [status: number, message: string] {
  if (!(error instanceof Error)) return [500, 'internal server error'];
  if (error instanceof FarmError) {
    return [error.code === 'FARM_ERR_QUERY' || error.code === 'FARM_ERR_STOPPED' ? 503 : 400, error.message];
  }
  // Some of Fastify's own are RangeErrors, too.
  const usual = error instanceof RangeError ? 400 : 500;
  const status = 'statusCode' in error ? Number(error.statusCode) : usual;
  return status >= 400 && status < 500 ? [status, error.message] : [500, 'internal server error'];
}
