import { escapeName } from '../../channel-store/pair.ts';

/**
 * Where the state of channels is in Redis, with the default prefix:
 *
 * ```
 * roost:members:{<channel>}    hash  user → "<workers>:<info>"          who is in it, through how many workers
 * roost:counts:{<channel>}     hash  owner → connections                how many are subscribed, by worker
 * roost:version:{<channel>}    string, for 10 minutes                   the version of the last change
 * roost:last:{<channel>}       string, for as long as it is kept        the envelope of the last event
 * roost:missed:{<channel>}     string, for 30 minutes                   a cache_miss was recorded
 * roost:owner:<owner>          set   "m<channel>\n<user>", "c<channel>", "t<channel>"    the entries of one worker
 * roost:leases                 zset  owner, or "!<owner>" while it is reaped → ms        until when it counts as alive
 * roost:occupied               zset  channel → 0                        channels with subscribers
 * roost:beat                   hash  at, hold                           when a worker last looked at the leases
 * roost:epoch                  string                                   changes when Redis has lost everything
 * roost:settling               string, for 2 seconds                    it has, and workers are joining again
 * roost:events, roost:events:dropped   stream, string                   recorded events
 * roost:events:turn            string, for 5 seconds                    the consumer that they are given to
 * ```
 *
 * Names of channels are percent-encoded where they stand in braces (see {@link escapeName}) and in the entries of owners.
 */
export class StoreKeys {
  readonly leases: string;
  readonly occupied: string;
  readonly beat: string;
  readonly epoch: string;
  readonly settling: string;
  readonly events: string;
  readonly eventsDropped: string;
  readonly eventsTurn: string;
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.leases = `${prefix}leases`;
    this.occupied = `${prefix}occupied`;
    this.beat = `${prefix}beat`;
    this.epoch = `${prefix}epoch`;
    this.settling = `${prefix}settling`;
    this.events = `${prefix}events`;
    this.eventsDropped = `${prefix}events:dropped`;
    this.eventsTurn = `${prefix}events:turn`;
  }

  owner(owner: string): string {
    return `${this.#prefix}owner:${owner}`;
  }

  members(channel: string): string {
    return this.#of('members', channel);
  }

  counts(channel: string): string {
    return this.#of('counts', channel);
  }

  version(channel: string): string {
    return this.#of('version', channel);
  }

  last(channel: string): string {
    return this.#of('last', channel);
  }

  missed(channel: string): string {
    return this.#of('missed', channel);
  }

  /** Of pub/sub: where what happens in the channel is published. */
  published(channel: string): string {
    return `${this.#prefix}channel:${channel}`;
  }

  #of(what: string, channel: string): string {
    return `${this.#prefix}${what}:{${escapeName(channel)}}`;
  }
}
