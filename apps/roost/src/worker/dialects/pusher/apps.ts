import type { ChannelEventType } from '@roost/farm';
import { CONNECTIONS_CHANNEL, kindOf } from './names.ts';
import type { PusherAppOptions } from './options.ts';

/** One app, as a worker knows it. */
export interface PusherApp extends PusherAppOptions {
  /** Its place in the configuration, by which sessions name it. */
  readonly index: number;
  /** Stands before the names of its channels in the broker; empty for the default app. */
  readonly channelPrefix: string;
}

/** Whether a webhook of the app wants events of this type. */
export function isRecorded({ webhooks }: PusherApp, type: ChannelEventType): boolean {
  return webhooks.some(({ eventTypes }) => eventTypes.length === 0 || eventTypes.includes(type));
}

/**
 * The apps of a worker, and how their names are kept apart: a channel of the broker is called `<id>/<channel>`, but for the
 * default app, whose channels have the same name there. No id and no channel has a slash (only the id of a user may), so
 * that no name means two things.
 */
export class PusherApps {
  readonly all: readonly PusherApp[];
  readonly #byKey: ReadonlyMap<string, PusherApp>;
  readonly #byId: ReadonlyMap<string, PusherApp>;
  readonly #default: PusherApp | undefined;

  constructor(apps: readonly PusherAppOptions[]) {
    this.all = apps.map((app, index) => ({
      ...app,
      index,
      channelPrefix: app.isDefault ? '' : `${app.id}/`,
    }));
    this.#byKey = new Map(this.all.map((app) => [app.key, app]));
    this.#byId = new Map(this.all.map((app) => [app.id, app]));
    this.#default = this.all.find(({ isDefault }) => isDefault);
  }

  withKey(key: string): PusherApp | undefined {
    return this.#byKey.get(key);
  }

  withId(id: string): PusherApp | undefined {
    return this.#byId.get(id);
  }

  at(index: number): PusherApp | undefined {
    return this.all[index];
  }

  /** What clients call a channel of the broker. */
  clientName(channel: string): string {
    return channel.slice(this.#prefixOf(channel).length);
  }

  /** The app whose clients may subscribe to this channel of the broker, if any. */
  ownerOf(channel: string): PusherApp | undefined {
    const prefix = this.#prefixOf(channel);
    return prefix === '' ? this.#default : this.withId(prefix.slice(0, -1));
  }

  /** Whether clients must show a signature for this channel of the broker, or get it by no signature. */
  isSigned(channel: string): boolean {
    if (this.ownerOf(channel) === undefined) return false;
    const name = this.clientName(channel);
    return name === CONNECTIONS_CHANNEL || kindOf(name).access !== 'public';
  }

  /** Whether the subscribers of this channel of the broker are told how many they are. */
  tellsCount(channel: string): boolean {
    const app = this.ownerOf(channel);
    if (app?.subscriptionCount !== true) return false;
    const name = this.clientName(channel);
    return !name.startsWith('#') && kindOf(name).access !== 'presence';
  }

  #prefixOf(channel: string): string {
    const end = channel.indexOf('/') + 1;
    if (end === 0) return '';
    const prefix = channel.slice(0, end);
    return this.withId(prefix.slice(0, -1))?.channelPrefix === prefix ? prefix : '';
  }
}

/** What the farm calls a user of the app. */
export function userOf(app: PusherApp, id: string): string {
  return `${app.id}/${id}`;
}

/** The id of a user of the app, of its name in the farm; undefined for no user. */
export function userIdOf(app: PusherApp, user: string | undefined): string | undefined {
  return user?.slice(app.id.length + 1);
}
