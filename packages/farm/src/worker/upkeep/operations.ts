import { BrokerError, type Broker } from '@roost/broker';
import { TcpSample } from '@roost/poller';
import { isValidCloseCode } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import { FarmError } from '../../api/errors.ts';
import type { ChannelMembers, TcpDetails } from '../../api/operations.ts';
import { assertNever } from '../../link/assert-never.ts';
import type { AskAnswer, KnownConnection, Operation } from '../../link/questions.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Connections } from '../connections.ts';
import type { Memberships } from '../fan-out/memberships.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Clock } from '../rows/clock.ts';
import { TICKS_PER_SECOND } from '../rows/clock.ts';
import type { ConnectionIds } from '../rows/connection-ids.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';

/** Of the channels of one connection. */
const MAX_SHOWN_CHANNELS = 100;
const MAX_REASON_BYTES = 123;

const STATE_NAMES = new Map<number, string>([
  [RowState.open, 'open'],
  [RowState.awake, 'awake'],
  [RowState.closing, 'closing'],
]);

export interface OperationsParts {
  readonly table: ConnectionTable;
  readonly clock: Clock;
  readonly ids: ConnectionIds;
  readonly counters: Counters;
  readonly broker: Pick<Broker, 'control' | 'store'>;
  readonly memberships: Memberships;
  readonly apps: AppHost;
  readonly subscriptions: Subscriptions;
  readonly connections: Connections;
}

/** What an operator wants to know of, or done with, the connections of this worker, or of all by the broker. */
export class Operations {
  readonly #worker: number;
  readonly #parts: OperationsParts;

  constructor(worker: number, parts: OperationsParts) {
    this.#worker = worker;
    this.#parts = parts;
  }

  async answer(operation: Operation): Promise<AskAnswer> {
    try {
      return await this.#carryOut(operation);
    } catch (error) {
      if (error instanceof FarmError) return { kind: 'refused', code: error.code, reason: error.message };
      if (!(error instanceof BrokerError)) throw error;
      return { kind: 'refused', code: 'FARM_ERR_QUERY', reason: error.message };
    }
  }

  async #carryOut(operation: Operation): Promise<AskAnswer> {
    switch (operation.question) {
      case 'publish':
        await this.#parts.subscriptions.publish(operation.channel, operation.data);
        return { kind: 'done', isFound: true };
      case 'connection':
        return { kind: 'connection', details: this.#detailsOf(operation.connection) };
      case 'counts':
        return { kind: 'counts', counts: await this.#parts.broker.store.counts(operation.channels) };
      case 'members':
        return { kind: 'members', members: await this.#membersOf(operation.channel, operation.limit) };
      case 'disconnect':
        return { kind: 'done', isFound: await this.#disconnect(operation) };
      default:
        return assertNever(operation);
    }
  }

  async #disconnect({
    target,
    code = CloseCode.disconnected,
    reason = '',
  }: Extract<Operation, { question: 'disconnect' }>): Promise<boolean> {
    const { broker, connections, counters } = this.#parts;
    if (!isValidCloseCode(code)) {
      throw refused(`A close code is 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code}.`);
    }
    // What JavaScript gives it is not checked before: here an exception would end the worker.
    if (typeof reason !== 'string') throw refused(`A reason must be a string, got ${typeof reason}.`);
    if (Buffer.byteLength(reason) > MAX_REASON_BYTES) {
      throw refused(`A reason has at most ${MAX_REASON_BYTES} bytes, got ${Buffer.byteLength(reason)}.`);
    }
    if ('connection' in target) {
      const slot = this.#slotOf(target.connection);
      return slot !== -1 && connections.closeOwn(slot, code, reason);
    }
    try {
      // What every worker of every farm carries out, this one too.
      await broker.control(Buffer.from(JSON.stringify({ type: 'disconnect', ...target, code, reason })));
    } catch (error) {
      if (error instanceof BrokerError) counters.add('publish_errors');
      throw error;
    }
    return true;
  }

  async #membersOf(channel: string, memberLimit: number): Promise<ChannelMembers> {
    const options = { mark: false, members: true, lastEvent: false, memberLimit };
    const { members, memberCount } = await this.#parts.broker.store.read(channel, options);
    return { memberCount, members: members.slice(0, memberLimit) };
  }

  /** The slot of a connection that is open here, or -1. */
  #slotOf(id: string): number {
    const { table, ids } = this.#parts;
    const number = ids.numberOf(id);
    if (number === undefined) return -1;
    const { numbers, states, highWater } = table;
    for (let slot = 0; slot < highWater; slot++) {
      if (numbers[slot] === number && STATE_NAMES.has(states[slot] ?? RowState.free)) return slot;
    }
    return -1;
  }

  #detailsOf(id: string): KnownConnection | null {
    const { table, clock, apps, connections, memberships } = this.#parts;
    const slot = this.#slotOf(id);
    if (slot === -1) return null;
    const all = connections.channels(slot);
    const channels = all.slice(0, MAX_SHOWN_CHANNELS);
    clock.refresh();
    return {
      id,
      number: table.numbers[slot] ?? 0,
      worker: this.#worker,
      app: apps.names[table.apps[slot] ?? 0] ?? '',
      state: STATE_NAMES.get(table.state(slot)) ?? '',
      remoteAddress: connections.remoteAddress(slot),
      user: connections.user(slot) ?? null,
      channels,
      channelCount: all.length,
      memberOf: channels.flatMap((channel) => {
        const user = memberships.userOf(slot, channel);
        return user === undefined ? [] : [{ channel, user }];
      }),
      silentMs: ((clock.now - (table.lastSeen[slot] ?? 0)) * 1000) / TICKS_PER_SECOND,
      bufferedBytes: connections.bufferedBytes(slot),
      isCompressed: table.hasFlag(slot, RowFlag.deflate),
      hasGap: connections.hasGap(slot),
      expiresAt: connections.expiresAt(slot) ?? null,
      tcp: tcpOf(table.fds[slot] ?? -1),
    };
  }
}

function refused(problem: string): FarmError {
  return new FarmError('FARM_ERR_OPTION', problem);
}

function tcpOf(fd: number): TcpDetails | null {
  if (fd < 0) return null;
  const sample = new TcpSample(1);
  sample.fds[0] = fd;
  sample.take(1);
  if (sample.count === 0) return null;
  return {
    rttMs: sample.rttMicros(0) / 1000,
    receivedBytes: sample.receivedBytes(0),
    sentBytes: sample.acknowledgedBytes(0),
    sentSegments: sample.sentSegments(0),
    retransmittedSegments: sample.retransmittedSegments(0),
  };
}
