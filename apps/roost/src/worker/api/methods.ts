import { hostname } from 'node:os';
import type { FarmInfo, WorkerContext } from '@roost/farm';
import type { WorkerOptions } from '../options.ts';
import { ApiError, apiErrorOf } from './errors.ts';
import type { ErrorBody } from './errors.ts';
import type { BodyOf } from '../../openapi/operation.ts';
import type { BROADCAST, CHANNELS, ChannelsResult, NodeFacts, PUBLISH } from './operations.ts';
import { payloadOf } from './request.ts';
import type { PayloadFields } from './request.ts';

export type PublishRequest = Read<BodyOf<typeof PUBLISH>>;
export type BroadcastRequest = Read<BodyOf<typeof BROADCAST>>;
export type ChannelsRequest = BodyOf<typeof CHANNELS>;

/** As readRequest() leaves a body: what was any value is text. */
type Read<Body> = Omit<Body, 'data'> & PayloadFields;

type BroadcastResponse = { readonly result: object } | ErrorBody;

/** The methods of the HTTP API, named as in Centrifugo's. Each resolves to its `result` or rejects. */
export class ApiMethods {
  readonly #context: WorkerContext;
  readonly #options: WorkerOptions;

  constructor(context: WorkerContext, options: WorkerOptions) {
    this.#context = context;
    this.#options = options;
  }

  async publish(request: PublishRequest): Promise<object> {
    await this.#publishTo(request.channel, payloadOf(request));
    return {};
  }

  /** One response for each channel, in their order: one that fails does not hold up the others. */
  async broadcast(request: BroadcastRequest): Promise<{ responses: readonly BroadcastResponse[] }> {
    const payload = payloadOf(request);
    const { maxBroadcastChannels } = this.#options.api;
    if (request.channels.length > maxBroadcastChannels) {
      throw new ApiError(
        'limitExceeded',
        `at most ${maxBroadcastChannels} channels at a time (api.maxBroadcastChannels), got ${request.channels.length}`,
      );
    }
    const responses = request.channels.map((channel) =>
      this.#publishTo(channel, payload).then(
        () => ({ result: {} }),
        (error: unknown) => this.#errorBody(error),
      ),
    );
    return { responses: await Promise.all(responses) };
  }

  async info(): Promise<{ readonly nodes: readonly NodeFacts[] }> {
    return { nodes: [nodeOf(await this.#context.info(), this.#options.farmId)] };
  }

  /** With an `error` next to the `result` when workers did not answer: what they have is missing from it. */
  async channels({
    pattern,
  }: ChannelsRequest): Promise<{ readonly result: ChannelsResult; readonly error?: ApiError }> {
    const { channels, unanswered } = await this.#context.channels(pattern);
    const result: ChannelsResult = {
      channels: Object.fromEntries(
        channels.map(({ channel, subscribers }) => [channel, { num_clients: subscribers }]),
      ),
      ...completeness(unanswered),
    };
    if (unanswered.length === 0) return { result };
    const [who, what] = unanswered.length === 1 ? ['worker', 'it has'] : ['workers', 'they have'];
    return {
      result,
      error: new ApiError(
        'partial',
        `${who} ${unanswered.join(', ')} did not answer within a second, and what ${what} is missing from the result`,
      ),
    };
  }

  async #publishTo(channel: string, payload: string | Buffer): Promise<void> {
    const problem = this.#context.channelNameProblem(channel);
    if (problem !== undefined) throw new ApiError('badRequest', problem);
    await this.#context.publish(channel, payload);
  }

  #errorBody(error: unknown): ErrorBody {
    const known = apiErrorOf(error);
    if (known === undefined) this.#context.log.error({ error: String(error) }, 'api publish failed');
    return (known ?? new ApiError('internal')).body;
  }
}

/** What the figures are of: this farm only, whatever else is on its Redis, and all or only some of its workers. */
function completeness(
  unanswered: readonly number[],
): Pick<NodeFacts, 'scope' | 'partial' | 'unanswered_workers'> {
  return { scope: 'farm', partial: unanswered.length > 0, unanswered_workers: unanswered };
}

/** One farm in the words of Centrifugo's info, and what only a farm has. */
function nodeOf(info: FarmInfo, farmId: string): NodeFacts {
  return {
    uid: farmId,
    name: hostname(),
    version: info.version,
    num_clients: info.connections,
    num_subs: info.subscriptions,
    uptime: Math.floor(info.uptimeMs / 1000),
    broker: info.broker,
    readiness: info.readiness,
    workers: info.workers,
    counters: info.counters,
    ...completeness(info.unanswered),
  };
}
