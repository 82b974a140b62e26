import type { ChannelSnapshot, ChannelStore } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { describeError } from '../app/app-host.ts';
import type { Lanes } from '../app/lanes.ts';
import type { ChannelKnowledge } from './channel-knowledge.ts';
import type { Memberships } from './memberships.ts';

/** Channels that are asked about at the same time. */
const MAX_UNDER_WAY = 64;
/** A flood drops publications of a channel again and again; so long is waited for the end of it, in ms. */
const DELAY_MS = 250;

export interface ResyncsParts {
  readonly counters: Counters;
  readonly log: Log;
  readonly lanes: Pick<Lanes, 'canResync'>;
  readonly knowledge: Pick<ChannelKnowledge, 'act' | 'missed' | 'missedAll'>;
  readonly memberships: Pick<Memberships, 'channels' | 'has' | 'of'>;
  readonly store: Pick<ChannelStore, 'read'>;
}

/**
 * Members whose channels may have changed unseen, because publications were missed, are told what is true now: each app says
 * how, in its `resync` hook. They are told in the place among the publications at which it is true, all at once.
 */
export class Resyncs {
  readonly #parts: ResyncsParts;
  readonly #waiting = new Set<string>();
  /** A channel may be there more than once: something was missed again. */
  readonly #underWay: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #tell: (channel: string, now: ChannelSnapshot) => void = () => undefined;

  constructor(parts: ResyncsParts) {
    this.#parts = parts;
  }

  /** `tell`: subscribers of the channel are to be told, before anything that is served from now on. */
  connect(tell: (channel: string, now: ChannelSnapshot) => void): void {
    this.#tell = tell;
  }

  /** Publications of these channels, or of any, may have been missed. */
  missed(channels: readonly string[] | undefined): void {
    const { knowledge, memberships, lanes } = this.#parts;
    if (channels === undefined) knowledge.missedAll();
    else for (const channel of channels) knowledge.missed(channel);
    if (!lanes.canResync || this.#isStopped) return;
    for (const channel of channels ?? memberships.channels()) {
      if (memberships.has(channel)) this.#waiting.add(channel);
    }
    if (this.#waiting.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#next();
    }, DELAY_MS).unref();
  }

  /** Whether the connection is still to be told something: elsewhere nobody would tell it. */
  owes(slot: number): boolean {
    if (this.#waiting.size === 0 && this.#underWay.length === 0) return false;
    for (const [channel] of this.#parts.memberships.of(slot)) {
      if (this.#waiting.has(channel) || this.#underWay.includes(channel)) return true;
    }
    return false;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #next(): void {
    for (const channel of this.#waiting) {
      if (this.#underWay.length === MAX_UNDER_WAY) return;
      this.#waiting.delete(channel);
      if (!this.#parts.memberships.has(channel)) continue;
      this.#underWay.push(channel);
      void this.#resync(channel).finally(() => {
        this.#underWay.splice(this.#underWay.indexOf(channel), 1);
        // What was missed meanwhile has its own delay.
        if (this.#timer === undefined) this.#next();
      });
    }
  }

  async #resync(channel: string): Promise<void> {
    const { knowledge, store, counters, log } = this.#parts;
    const options = { members: true, memberLimit: Number.MAX_SAFE_INTEGER, lastEvent: false };
    try {
      await knowledge.act(
        channel,
        (mark) => store.read(channel, { ...options, mark }),
        (now) => this.#tell(channel, now),
      );
      counters.add('resyncs');
    } catch (error) {
      if (this.#isStopped) return;
      // When a broker that was away is back, it reports a gap, and all is tried again.
      counters.add('resync_errors');
      const fields = { channel, error: describeError(error) };
      log.warn(fields, 'members could not be told what they may have missed');
    }
  }
}
