import { matchesGlob } from '@roost/farm';
import type { TokenClaims } from '@roost/farm';

/**
 * Which channels a client may use. Patterns are names, or globs: `*` is any run of characters, `?` any one. A channel is open to
 * a client when it is public or a pattern of the claim `channels` covers it.
 */
export class ChannelRules {
  readonly #publicChannels: readonly string[];

  constructor(publicChannels: readonly string[]) {
    this.#publicChannels = publicChannels;
  }

  /** The first of the channels that is closed to this client; undefined claims are those of a client without a token. */
  firstClosed(channels: Iterable<string>, claims: TokenClaims | undefined): string | undefined {
    const granted = claims?.channels ?? [];
    for (const channel of channels) {
      if (!isCovered(channel, this.#publicChannels) && !isCovered(channel, granted)) return channel;
    }
    return undefined;
  }
}

/** Whether one of the patterns covers the channel. */
export function isCovered(channel: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesGlob(channel, pattern));
}
