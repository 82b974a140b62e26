import type { ChannelCounts } from '@roost/farm';
import type { PusherApp } from './apps.ts';
import { CONNECTIONS_CHANNEL } from './names.ts';

/** How old a sum may be that decides. */
const MAX_AGE_MS = 1000;

interface Sum {
  /** On all workers and farms, as last heard of. */
  connections: number;
  /** Let in by this worker since then. */
  since: number;
  heardAtMs: number;
  /** The question that is under way. */
  asked: Promise<void> | undefined;
}

/**
 * How many connections apps have that may not have more than some number. Each connection of such an app is subscribed to a
 * channel of its own to be counted: so the sum is that of all farms, and right again when a worker has died. It is asked for
 * when clients come, at most once a second, and they wait for it. Where several workers let clients in at the same time, or
 * the broker is away, an app may get some more than it may have; and who comes within two seconds of another's end may be
 * refused although there is room again: for so long the other may still be in the sum.
 */
export class Quotas {
  readonly #counts: (channels: readonly string[]) => Promise<readonly ChannelCounts[]>;
  readonly #sums = new Map<PusherApp, Sum>();

  constructor(counts: (channels: readonly string[]) => Promise<readonly ChannelCounts[]>) {
    this.#counts = counts;
  }

  /** What a connection of the app is subscribed to from its beginning. */
  channelsOf(app: PusherApp): readonly string[] {
    return app.maxConnections === 0 ? [] : [channelOf(app)];
  }

  /** Whether the app has room for one more. If it has, the one is counted. */
  take(app: PusherApp): boolean | Promise<boolean> {
    if (app.maxConnections === 0) return true;
    const sum = this.#sumOf(app);
    if (performance.now() - sum.heardAtMs >= MAX_AGE_MS) sum.asked ??= this.#ask(app, sum);
    return sum.asked === undefined ? takeOne(app, sum) : sum.asked.then(() => takeOne(app, sum));
  }

  #sumOf(app: PusherApp): Sum {
    let sum = this.#sums.get(app);
    if (sum === undefined) {
      sum = { connections: 0, since: 0, heardAtMs: Number.NEGATIVE_INFINITY, asked: undefined };
      this.#sums.set(app, sum);
    }
    return sum;
  }

  async #ask(app: PusherApp, sum: Sum): Promise<void> {
    try {
      const [counts] = await this.#counts([channelOf(app)]);
      sum.connections = counts?.subscribers ?? 0;
      sum.since = 0;
    } catch {
      // The broker is away. What was last heard of decides until it is back.
    }
    sum.heardAtMs = performance.now();
    sum.asked = undefined;
  }
}

function takeOne(app: PusherApp, sum: Sum): boolean {
  if (sum.connections + sum.since >= app.maxConnections) return false;
  sum.since += 1;
  return true;
}

function channelOf(app: PusherApp): string {
  return `${app.channelPrefix}${CONNECTIONS_CHANNEL}`;
}
