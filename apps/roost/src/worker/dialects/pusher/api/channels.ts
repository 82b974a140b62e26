import type { WorkerContext } from '@roost/farm';
import type { PusherApp, PusherApps } from '../apps.ts';
import { channelProblem, kindOf, USER_CHANNEL_PREFIX } from '../names.ts';
import { RequestError } from './errors.ts';
import type { Attribute } from './events.ts';
import type { ChannelFacts, CountsOfChannel, Occupied, UsersOfChannel } from './operations.ts';

/** Most channels of one answer. */
const MAX_LISTED_CHANNELS = 100_000;

type Context = Pick<WorkerContext, 'channelStates' | 'occupiedChannels' | 'channelMembers' | 'lastEvent'>;

/** What is going on in the channels of apps, on all workers and farms. */
export class Channels {
  readonly #context: Context;
  readonly #apps: PusherApps;
  readonly #maxChannelCharacters: number;

  constructor(context: Context, apps: PusherApps, maxChannelCharacters: number) {
    this.#context = context;
    this.#apps = apps;
    this.#maxChannelCharacters = maxChannelCharacters;
  }

  /** The occupied ones. Those of users are listed only to who asks for them. */
  async list(
    app: PusherApp,
    prefix: string,
    attributes: ReadonlySet<Attribute>,
  ): Promise<Occupied['channels']> {
    if (attributes.has('user_count') && !prefix.startsWith('presence-')) {
      throw new RequestError('badRequest', 'user_count needs a filter_by_prefix that begins with presence-');
    }
    if (attributes.has('cache'))
      throw new RequestError('badRequest', 'cache is told of one channel at a time');
    const occupied = await this.#context.occupiedChannels(app.channelPrefix + prefix, MAX_LISTED_CHANNELS);
    const names = occupied
      .filter((name) => this.#apps.ownerOf(name) === app)
      .map((name) => this.#apps.clientName(name))
      .filter((name) => channelProblem(name, this.#maxChannelCharacters) === undefined)
      .filter((name) => !name.startsWith(USER_CHANNEL_PREFIX) || prefix.startsWith(USER_CHANNEL_PREFIX));
    const facts = attributes.size === 0 ? [] : await this.factsOf(app, names, attributes);
    return Object.fromEntries(names.map((name, at) => [name, facts[at] ?? {}]));
  }

  /** One channel. Attributes that it does not have are refused. */
  async one(app: PusherApp, name: string, attributes: ReadonlySet<Attribute>): Promise<ChannelFacts> {
    const { access, isCache } = kindOf(name);
    if (attributes.has('user_count') && access !== 'presence') {
      throw new RequestError('badRequest', 'only presence channels have a user_count');
    }
    if (attributes.has('cache') && !isCache) {
      throw new RequestError('badRequest', 'only cache channels have a cache');
    }
    const channel = app.channelPrefix + name;
    const [[counts], last] = await Promise.all([
      this.#context.channelStates([channel]),
      attributes.has('cache') ? this.#context.lastEvent(channel) : undefined,
    ]);
    const { subscribers = 0, members = 0 } = counts ?? {};
    return {
      occupied: subscribers > 0,
      ...(attributes.has('user_count') && { user_count: members }),
      ...(attributes.has('subscription_count') && { subscription_count: subscribers }),
      ...(attributes.has('cache') && {
        cache:
          last === undefined ? null : { data: last.payload.toString(), ttl: Math.ceil(last.ttlMs / 1000) },
      }),
    };
  }

  /** Of several channels, in their order. Attributes that one does not have are left out. */
  async factsOf(
    app: PusherApp,
    names: readonly string[],
    attributes: ReadonlySet<Attribute>,
  ): Promise<readonly CountsOfChannel[]> {
    const counts = await this.#context.channelStates(names.map((name) => app.channelPrefix + name));
    return names.map((name, at) => {
      const { subscribers = 0, members = 0 } = counts[at] ?? {};
      const isPresence = kindOf(name).access === 'presence';
      return {
        ...(attributes.has('user_count') && isPresence && { user_count: members }),
        ...(attributes.has('subscription_count') && { subscription_count: subscribers }),
      };
    });
  }

  /** The users of a presence channel. */
  async users(app: PusherApp, name: string): Promise<UsersOfChannel['users']> {
    if (kindOf(name).access !== 'presence') {
      throw new RequestError('badRequest', 'only presence channels have users');
    }
    const members = await this.#context.channelMembers(app.channelPrefix + name, app.maxPresenceMembers);
    return members.map(({ user }) => ({ id: user }));
  }
}
