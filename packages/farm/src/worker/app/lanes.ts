import type { App } from '../../api/app.ts';
import type { ChannelPublication } from '../../api/channel-publication.ts';
import type { ChannelSnapshot } from '../../api/presence.ts';
import { MAX_LANES } from '../rows/connection-table.ts';
import { isPromise } from './promises.ts';

/** The hooks that make a message for all connections of a lane. */
interface LaneHooks {
  readonly encode: NonNullable<App['encode']>;
  readonly resync: App['resync'] | undefined;
}

/** Of the apps without an `encode` hook, all together: their connections get payloads as they are. */
export const PLAIN_LANE = 0;

/**
 * The lanes of a worker. The connections of a lane get the same bytes, so a publication is encoded and framed once for each lane
 * that has a subscriber, whatever their number. An app with an `encode` hook has a lane of its own.
 */
export class Lanes {
  readonly #report: (hook: string, error: unknown) => void;
  readonly #byApp: number[] = [];
  /** By lane; the first has none. */
  readonly #hooks: (LaneHooks | undefined)[] = [undefined];

  /** `report` is told what a hook threw. */
  constructor(report: (hook: string, error: unknown) => void) {
    this.#report = report;
  }

  /** The apps to run. Throws a TypeError when too many have a lane of their own. */
  use(apps: readonly App[]): void {
    for (const app of apps) {
      if (app.encode === undefined) {
        this.#byApp.push(PLAIN_LANE);
        continue;
      }
      if (this.#hooks.length === MAX_LANES) {
        throw new TypeError(`at most ${MAX_LANES - 1} apps may have an encode hook`);
      }
      this.#byApp.push(this.#hooks.length);
      this.#hooks.push({ encode: app.encode.bind(app), resync: app.resync?.bind(app) });
    }
  }

  /** At least 1, whether or not an app is in the first. */
  get count(): number {
    return this.#hooks.length;
  }

  /** Whether an app tells its members what they may have missed. */
  get canResync(): boolean {
    return this.#hooks.some((hooks) => hooks?.resync !== undefined);
  }

  ofApp(app: number): number {
    return this.#byApp[app] ?? PLAIN_LANE;
  }

  /** What the connections of a lane with a hook are sent; undefined for nothing. */
  encode(lane: number, publication: ChannelPublication): string | Uint8Array | undefined {
    return this.#messageOf('encode', () => this.#hooks[lane]?.encode(publication));
  }

  /** What they are sent when they may have missed who is in a channel; undefined for nothing. */
  resync(lane: number, channel: string, snapshot: ChannelSnapshot): string | Uint8Array | undefined {
    return this.#messageOf('resync', () => this.#hooks[lane]?.resync?.(channel, snapshot));
  }

  #messageOf(hook: string, call: () => unknown): string | Uint8Array | undefined {
    try {
      const message = call();
      if (message === undefined || typeof message === 'string' || message instanceof Uint8Array)
        return message;
      if (isPromise(message)) message.then(undefined, (error: unknown) => this.#report(hook, error));
      throw new TypeError(`${hook}() returns a string, bytes or undefined, got ${typeof message}`);
    } catch (error) {
      this.#report(hook, error);
      return undefined;
    }
  }
}
