import type { WorkerContext } from '@roost/farm';
import { userOf } from '../apps.ts';
import type { PusherApp, PusherApps } from '../apps.ts';
import { userProblem } from '../names.ts';
import { Channels } from './channels.ts';
import { RequestError } from './errors.ts';
import { channelNameProblem, readBatch, readEvent, readInfo } from './events.ts';
import type { Rules } from './events.ts';
import type {
  BatchTriggered,
  ChannelFacts,
  CountsOfChannel,
  Occupied,
  Triggered,
  UsersOfChannel,
} from './operations.ts';
import { publishEvents } from './publish.ts';
import type { ApiRequest } from './request.ts';

/** As clients are told who are disconnected on purpose: they do not come back by themselves. */
const TERMINATED = { code: 4009, reason: 'the connections of the user were terminated' };

/** The methods of the HTTP API. Each resolves to its answer, or rejects. */
export class ApiMethods {
  readonly #context: WorkerContext;
  readonly #channels: Channels;
  readonly #maxChannelCharacters: number;

  constructor(context: WorkerContext, apps: PusherApps, maxChannelCharacters: number) {
    this.#context = context;
    this.#channels = new Channels(context, apps, maxChannelCharacters);
    this.#maxChannelCharacters = maxChannelCharacters;
  }

  async trigger({ app, body }: ApiRequest): Promise<Triggered> {
    const event = readEvent(body, this.#rulesOf(app));
    await publishEvents(app, [event], this.#context);
    if (event.info.size === 0) return {};
    const facts = await this.#channels.factsOf(app, event.channels, event.info);
    return { channels: Object.fromEntries(event.channels.map((name, at) => [name, facts[at] ?? {}])) };
  }

  async triggerBatch({ app, body }: ApiRequest): Promise<BatchTriggered> {
    const events = readBatch(body, this.#rulesOf(app));
    await publishEvents(app, events, this.#context);
    if (events.every(({ info }) => info.size === 0)) return {};
    const batch = await Promise.all(
      events.map(async ({ channels, info }): Promise<CountsOfChannel> => {
        if (info.size === 0) return {};
        return (await this.#channels.factsOf(app, channels, info))[0] ?? {};
      }),
    );
    return { batch };
  }

  async channels({ app, query }: ApiRequest): Promise<Occupied> {
    const prefix = query.values.get('filter_by_prefix') ?? '';
    const channels = await this.#channels.list(app, prefix, readInfo(query.values.get('info')));
    return { channels };
  }

  async channel({ app, query, name }: ApiRequest): Promise<ChannelFacts> {
    this.#checkChannel(app, name);
    return this.#channels.one(app, name, readInfo(query.values.get('info')));
  }

  async users({ app, name }: ApiRequest): Promise<UsersOfChannel> {
    this.#checkChannel(app, name);
    return { users: await this.#channels.users(app, name) };
  }

  async terminate({ app, name }: ApiRequest): Promise<object> {
    const problem = userProblem(name);
    if (problem !== undefined) throw new RequestError('badRequest', `the id of the user ${problem}`);
    await this.#context.disconnectUser(userOf(app, name), TERMINATED);
    return {};
  }

  #checkChannel(app: PusherApp, name: string): void {
    const problem = channelNameProblem(name, this.#rulesOf(app));
    if (problem !== undefined) throw new RequestError('badRequest', `the channel ${problem}`);
  }

  #rulesOf(app: PusherApp): Rules {
    return {
      app,
      maxChannelCharacters: this.#maxChannelCharacters,
      channelNameProblem: this.#context.channelNameProblem,
    };
  }
}
