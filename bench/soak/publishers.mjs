import { setTimeout as delay } from 'node:timers/promises';
import { askApi } from '../lib/api.mjs';
import { messageOf } from '../lib/message-of.mjs';
import { publishEvent } from './pusher-app.mjs';

/**
 * @import { RedisServer } from '../lib/redis.mjs'
 * @import { Server } from '../lib/servers.mjs'
 */

const HEAVY = 'x'.repeat(16 * 1024);

/** Publishes numbered messages, each series on the channel of its name, one after the other. */
export class Publishers {
  #isEnded = false;
  /** @type {Promise<void>[]} */
  #running = [];
  /**
   * The last number of each series.
   * @type {Record<string, number>}
   */
  last = {};
  /**
   * What was answered with an error.
   * @type {string[]}
   */
  problems = [];

  /**
   * @param {Server} server
   * @param {RedisServer} redis
   * @param {{ topics: number, rooms: number }} options
   */
  constructor(server, redis, { topics, rooms }) {
    const overRedis = (/** @type {string} */ channel, /** @type {string} */ text) =>
      redis.publish(`roost:channel:${channel}`, text);
    this.#start('news', 500, overRedis);
    this.#start('heavy', 200, (channel, text) =>
      overRedis(channel, `${text.slice(0, -1)},"pad":"${HEAVY}"}`),
    );
    for (let topic = 0; topic < topics; topic++) this.#start(`topic-${topic}`, 2000, overRedis);
    this.#start('http', 500, (channel, data) => askApi(server, 'publish', { channel, data }));
    for (let room = 0; room < rooms; room++) {
      this.#start(`presence-room-${room}`, 5000, (channel, data) => publishEvent(server, channel, data));
    }
  }

  /** Resolves when the last message was taken. */
  async end() {
    this.#isEnded = true;
    await Promise.all(this.#running);
  }

  /**
   * @param {string} series
   * @param {number} intervalMs
   * @param {(channel: string, text: string) => Promise<unknown>} publish
   */
  #start(series, intervalMs, publish) {
    const run = async () => {
      for (let n = 1; !this.#isEnded; n++) {
        try {
          await publish(series, JSON.stringify({ series, n }));
          this.last[series] = n;
        } catch (error) {
          this.problems.push(`${series}: ${messageOf(error)}`);
        }
        await delay(intervalMs * (0.5 + Math.random()));
      }
    };
    this.#running.push(run());
  }
}
