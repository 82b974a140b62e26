import type { ChannelSnapshot, ChannelStore } from '@roost/broker';
import { Opcode } from '@roost/websocket';
import type { JoinOutcome, JoinRequest } from '../../api/presence.ts';
import type { Counters } from '../../api/counters.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { PendingWork } from '../rows/pending-work.ts';
import type { ChannelKnowledge } from './channel-knowledge.ts';
import { checkMember } from './check-member.ts';
import type { Memberships } from './memberships.ts';
import type { Subscriptions } from './subscriptions.ts';

/** A connection on its way into a channel. */
interface Join {
  readonly slot: number;
  readonly generation: number;
  readonly request: JoinRequest;
  /** It has left again before it was in. */
  isCancelled: boolean;
}

export interface JoinsParts {
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly subscriptions: Pick<
    Subscriptions,
    'areConfirmed' | 'checkRoom' | 'enter' | 'isSubscribed' | 'markGap' | 'reserve' | 'unreserve'
  >;
  readonly knowledge: Pick<ChannelKnowledge, 'act'>;
  readonly memberships: Pick<Memberships, 'add' | 'hold' | 'release'>;
  readonly store: Pick<ChannelStore, 'join' | 'read'>;
  readonly outbound: Pick<Outbound, 'send'>;
  readonly pendingWork: PendingWork;
}

const NOTHING_KNOWN: ChannelSnapshot = { version: 0, members: [], memberCount: 0, lastEvent: undefined };

/**
 * Connections that come into a channel and are told of it: that they are in, who else is, what was the last event. A
 * connection is let in, and sent its welcome, in one go, at the moment at which what it is told is true: see
 * {@link ChannelKnowledge}.
 *
 * A join that waits is an object; one that is done is a subscription, and a membership.
 */
export class Joins {
  readonly #parts: JoinsParts;
  /** By slot. */
  readonly #underWay = new Map<number, Set<Join>>();

  constructor(parts: JoinsParts) {
    this.#parts = parts;
  }

  /** See WorkerContext.join. */
  async join(slot: number, request: JoinRequest): Promise<JoinOutcome> {
    const { table, subscriptions } = this.#parts;
    const { channel, member, lastEvent = false } = request;
    subscriptions.checkRoom(slot, channel, this.#underWay.get(slot)?.size);
    if (member !== undefined) checkMember(member);
    if (subscriptions.isSubscribed(slot, channel) || this.#find(slot, channel) !== undefined) return 'gone';
    const join = { slot, generation: table.generation(slot), request, isCancelled: false };
    const needsKnowledge = member !== undefined || lastEvent;
    if (!needsKnowledge && subscriptions.areConfirmed([channel])) return this.#letIn(join, NOTHING_KNOWN);
    this.#begin(join);
    try {
      // From here on the channel stays subscribed, whoever leaves.
      const arrives = await subscriptions.reserve([channel]);
      try {
        if (!arrives && this.#isWanted(join)) subscriptions.markGap(slot);
        return needsKnowledge ? await this.#letInKnowing(join) : this.#letIn(join, NOTHING_KNOWN);
      } finally {
        subscriptions.unreserve([channel]);
      }
    } finally {
      this.#end(join);
    }
  }

  /** The connection leaves a channel. True: it was about to join it, and will not. */
  cancel(slot: number, channel: string): boolean {
    const join = this.#find(slot, channel);
    if (join === undefined) return false;
    join.isCancelled = true;
    return true;
  }

  async #letInKnowing(join: Join): Promise<JoinOutcome> {
    const { knowledge, store } = this.#parts;
    const { channel, member, lastEvent = false } = join.request;
    if (!this.#isWanted(join)) return 'gone';
    if (member !== undefined) return this.#letInAsMember(join, member);
    const options = { members: false, memberLimit: 1, lastEvent };
    const outcome = await knowledge.act(
      channel,
      (mark) => store.read(channel, { ...options, mark }),
      (snapshot) => this.#letIn(join, snapshot),
    );
    return outcome ?? 'gone';
  }

  async #letInAsMember(join: Join, member: NonNullable<JoinRequest['member']>): Promise<JoinOutcome> {
    const { knowledge, memberships, store } = this.#parts;
    const { channel, lastEvent = false } = join.request;
    const { user, info, maxMembers } = member;
    // Who is joined already is answered in the same way, so it may be asked again.
    const ask = async (mark: boolean): Promise<ChannelSnapshot | undefined> => {
      const options = { maxMembers, mark, lastEvent };
      const { outcome, snapshot } = await store.join(channel, { user, info }, options);
      return outcome === 'joined' ? snapshot : undefined;
    };
    let outcome: JoinOutcome = 'gone';
    memberships.hold(channel, user);
    try {
      outcome = (await knowledge.act(channel, ask, (snapshot) => this.#letIn(join, snapshot))) ?? 'full';
      return outcome;
    } finally {
      if (outcome !== 'joined') memberships.release(channel, user);
    }
  }

  #letIn(join: Join, snapshot: ChannelSnapshot): JoinOutcome {
    const { subscriptions, memberships, outbound, counters } = this.#parts;
    const { slot, request } = join;
    const { channel, member } = request;
    if (!this.#isWanted(join)) return 'gone';
    const texts = textsOf(request.welcome(snapshot));
    // The application may have done anything; and subscribed in another way meanwhile, which is no join.
    if (!this.#isWanted(join)) return 'gone';
    subscriptions.checkRoom(slot, channel);
    if (!subscriptions.enter(slot, channel)) return 'gone';
    if (member !== undefined) memberships.add(slot, channel, member.user);
    for (const text of texts) {
      if (this.#isWanted(join) && outbound.send(slot, Opcode.text, text)) counters.messagesSent++;
    }
    return 'joined';
  }

  #isWanted({ slot, generation, isCancelled }: Join): boolean {
    const { table } = this.#parts;
    if (isCancelled || !table.isCurrent(slot, generation)) return false;
    // One that is on its way to another worker may have been written there by now.
    return table.isOpen(slot) && table.state(slot) !== RowState.leaving;
  }

  /** One that is still wanted, for the slot may have had another connection before. */
  #find(slot: number, channel: string): Join | undefined {
    for (const join of this.#underWay.get(slot) ?? []) {
      if (join.request.channel === channel && this.#isWanted(join)) return join;
    }
    return undefined;
  }

  #begin(join: Join): void {
    this.#parts.pendingWork.begin(join.slot, join.generation);
    const joins = this.#underWay.get(join.slot);
    if (joins === undefined) this.#underWay.set(join.slot, new Set([join]));
    else joins.add(join);
  }

  #end(join: Join): void {
    this.#parts.pendingWork.end(join.slot, join.generation);
    const joins = this.#underWay.get(join.slot);
    joins?.delete(join);
    if (joins?.size === 0) this.#underWay.delete(join.slot);
  }
}

function textsOf(welcome: unknown): readonly string[] {
  const messages: readonly unknown[] = Array.isArray(welcome) ? welcome : [welcome];
  const texts = messages.filter((message) => typeof message === 'string');
  if (texts.length === messages.length) return texts;
  throw new TypeError('welcome() returns a string, or several');
}
