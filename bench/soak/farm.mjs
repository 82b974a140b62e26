import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@roost/testing';
import { API_KEY } from '../lib/api.mjs';
import { startRedis } from '../lib/redis.mjs';
import { startServer } from '../lib/servers.mjs';
import { startSoakClients, sumOf } from './clients.mjs';
import { Publishers } from './publishers.mjs';
import { PUSHER_ARGS } from './pusher-app.mjs';
import { countHeld, Sampler } from './sampler.mjs';
import { readMetrics } from './scrape.mjs';

/**
 * @import { RedisServer } from '../lib/redis.mjs'
 * @import { Server, ServerOptions } from '../lib/servers.mjs'
 * @import { populationOf } from './clients.mjs'
 * @import { Sample } from './sampler.mjs'
 *
 * @typedef {Awaited<ReturnType<SoakFarm['live']>>} Life
 * @typedef {Awaited<ReturnType<SoakFarm['rest']>>} Rest
 *
 * @typedef {object} LifeOptions
 * @property {number} forMs
 * @property {number} sampleMs
 * @property {number} fewestSamples It goes on until it has so many, on a machine that is too busy for more.
 * @property {(sample: Sample) => void} onSample
 */

/** Small, so that slow readers are closed while the soak lasts. */
const MAX_OUTBOUND_BYTES = 256 * 1024;
/** At most so long, and a quarter of the soak: everything happens many times. */
const STAY_MS = 10_000;
const STUCK_MS = 20_000;
const ECHO_MS = 2000;
/** In which a farm has released what its clients left. */
const REST_MS = 60_000;
const LOOK_MS = 500;
const ERROR = /"level":"(?:error|fatal)"/;

/** A farm of two workers with a Redis of its own, and what can be done with it in a soak. */
export class SoakFarm {
  #server;
  #redis;
  #metricsUrl;
  #sampler;

  /**
   * @param {Server} server
   * @param {RedisServer} redis
   * @param {string} metricsUrl
   */
  constructor(server, redis, metricsUrl) {
    this.#server = server;
    this.#redis = redis;
    this.#metricsUrl = metricsUrl;
    this.#sampler = new Sampler(server, { redisPid: redis.pid, metricsUrl });
  }

  /** @param {NonNullable<ServerOptions['app']>} app */
  static async start(app) {
    const redis = await startRedis();
    const adminPort = await freePort();
    const args = [
      `--admin-port=${adminPort}`,
      `--api-key=${API_KEY}`,
      `--max-outbound-bytes=${MAX_OUTBOUND_BYTES}`,
      ...PUSHER_ARGS,
    ];
    const server = await startServer('Roost', { app, redisUrl: redis.url, args });
    return new SoakFarm(server, redis, `http://127.0.0.1:${adminPort}/metrics`);
  }

  /** Errors of its log. */
  get errors() {
    return [...this.#server.complaints.values()].map(({ first }) => first).filter((line) => ERROR.test(line));
  }

  metrics() {
    return readMetrics(this.#metricsUrl);
  }

  /**
   * Has clients, who come, hear, and have gone at the end.
   * @param {ReturnType<typeof populationOf>} population
   * @param {LifeOptions} options
   */
  async live(population, { forMs, sampleMs, fewestSamples, onSample }) {
    const clients = startSoakClients(this.#server, {
      ...population,
      stayMs: Math.min(STAY_MS, forMs / 4),
      stuckMs: Math.min(STUCK_MS, forMs / 4),
      echoMs: Math.min(ECHO_MS, forMs / 4),
    });
    try {
      await clients.open();
      const publishers = new Publishers(this.#server, this.#redis, population);
      const endsAt = performance.now() + forMs;
      for (let taken = 0; taken < fewestSamples || performance.now() < endsAt; taken++) {
        await delay(sampleMs);
        const sample = await this.#sampler.take();
        onSample({ ...sample, clients: sumOf(await clients.report()).open });
      }
      await clients.calm();
      await publishers.end();
      const atTheEnd = await clients.await(publishers.last);
      const seen = sumOf(await clients.end());
      const published = Object.values(publishers.last).reduce((sum, count) => sum + count, 0);
      return { seen, atTheEnd, published, problems: publishers.problems };
    } finally {
      await clients.stop();
    }
  }

  /** Waits until everything that clients had is released, for a minute at most, and answers what there is. */
  async rest() {
    for (const endsAt = performance.now() + REST_MS; ;) {
      const sample = await this.#sampler.take();
      const keys = await this.#redis.keys();
      const isAtRest = sample.rows === 0 && countHeld(sample.sockets) === 0;
      if (isAtRest || performance.now() > endsAt) return { sample, keys };
      await delay(LOOK_MS);
    }
  }

  async stop() {
    await this.#server.stop();
    await this.#redis.stop();
  }
}
