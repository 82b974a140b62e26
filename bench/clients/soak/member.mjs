import { createHmac } from 'node:crypto';
import { Client } from './client.mjs';

/**
 * @import { Tally } from './tally.mjs'
 *
 * @typedef {object} PusherApp
 * @property {string} key
 * @property {string} secret
 *
 * @typedef {{ event: string, channel?: string, data?: string | object }} Message `data` is the text of JSON, or a value.
 */

const PONG = '{"event":"pusher:pong","data":{}}';

/** A client of the Pusher protocol in a presence channel, which keeps the list of its members by what it is told. */
export class Member extends Client {
  #app;
  #channel;
  #user;
  /** @type {() => void} */
  #onJoined = () => {};
  /** @type {Set<string>} */
  members = new Set();
  /** Its id, as the server gave it. */
  socketId = '';

  /**
   * @param {string} base
   * @param {Tally} tally
   * @param {{ app: PusherApp, channel: string, user: string }} options
   */
  constructor(base, tally, { app, channel, user }) {
    super(`${base}/app/${app.key}?protocol=7&client=soak&version=1.0`, tally);
    this.#app = app;
    this.#channel = channel;
    this.#user = user;
  }

  get channel() {
    return this.#channel;
  }

  /**
   * Resolves when it is a member, or has ended.
   * @override
   */
  async open() {
    /** @type {Promise<void>} */
    const joined = new Promise((resolve) => (this.#onJoined = resolve));
    if (!(await super.open())) return false;
    await Promise.race([joined, this.ended]);
    return true;
  }

  /**
   * @override
   * @param {string} text
   */
  onText(text) {
    /** @type {Message} */
    const message = JSON.parse(text);
    const data = typeof message.data === 'string' ? JSON.parse(message.data) : message.data;
    switch (message.event) {
      case 'pusher:connection_established':
        this.socketId = data.socket_id;
        this.#subscribe();
        return;
      case 'pusher_internal:subscription_succeeded':
        this.members = new Set(data.presence.ids);
        this.#onJoined();
        return;
      case 'pusher_internal:member_added':
        if (this.members.has(data.user_id)) this.tally.surprise(`${data.user_id} was added again`);
        this.members.add(data.user_id);
        return;
      case 'pusher_internal:member_removed':
        if (!this.members.delete(data.user_id)) this.tally.surprise(`${data.user_id} was removed again`);
        return;
      case 'pusher:ping':
        this.send(PONG);
        return;
      case 'news':
        this.sequences.hear(data.series, data.n);
        return;
      default:
        this.tally.surprise(`a member was told ${text}`);
    }
  }

  #subscribe() {
    const { key, secret } = this.#app;
    const member = JSON.stringify({ user_id: this.#user });
    const signed = createHmac('sha256', secret)
      .update(`${this.socketId}:${this.#channel}:${member}`)
      .digest('hex');
    const data = { auth: `${key}:${signed}`, channel_data: member, channel: this.#channel };
    this.send(JSON.stringify({ event: 'pusher:subscribe', data }));
  }
}
