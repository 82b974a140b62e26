import {
  MemoryBrokerExchange,
  type ChannelEvents,
  type ExchangePort,
  type ExchangeToWorkerMessage,
} from '@roost/broker';
import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';
import type { WorkerLife } from './worker-life.ts';
import type { ForwardedMessage } from './supervision-hooks.ts';

type BrokerWorker = Pick<
  WorkerLife,
  'id' | 'state' | 'send' | 'offer' | 'bufferedBytes' | 'maxBufferedBytes'
>;
type BrokerMessage = Extract<ForwardedMessage, { type: 'broker' | 'owner' }>;

/**
 * The master's part of the workers' brokers: the exchange of the embedded one; and, with Redis, the names by which dead workers
 * are known there, so that another worker removes at once what they had in channels.
 */
export class Brokers {
  /** See Farm.channelEvents. */
  readonly events: ChannelEvents | undefined;
  readonly #guard: Pick<Guard, 'after' | 'failed'>;
  readonly #exchange: MemoryBrokerExchange;
  readonly #ports = new Map<number, ExchangePort>();
  /** What living workers are called in Redis. */
  readonly #owners = new Map<BrokerWorker, string>();
  /** What dead ones were called, while there is no other to be told. */
  #dead: string[] = [];

  /** `redisEvents`: what is recorded in Redis, where it is recorded there. */
  constructor(
    config: Pick<FarmConfig, 'recordedEvents' | 'maxRecordedEvents'>,
    guard: Pick<Guard, 'after' | 'failed'>,
    redisEvents: ChannelEvents | undefined,
  ) {
    this.#guard = guard;
    const { recordedEvents: recorded, maxRecordedEvents: maxEvents } = config;
    this.#exchange = new MemoryBrokerExchange(
      (milliseconds, callback) => guard.after(milliseconds, 'catching up with a worker', callback),
      { recorded, maxEvents },
    );
    this.events = redisEvents ?? (recorded.length === 0 ? undefined : this.#exchange.consumeEvents());
  }

  get droppedEventCount(): number {
    return this.#exchange.droppedEventCount;
  }

  /** It has a process: its broker is received. */
  workerStarted(worker: BrokerWorker): void {
    const offer = (message: ExchangeToWorkerMessage): boolean => {
      try {
        return worker.offer({ type: 'broker', message });
      } catch (error) {
        this.#guard.failed('passing on a publication', error);
        return false;
      }
    };
    this.#ports.set(worker.id, this.#exchange.attach(worker.id, offer, worker));
  }

  workerReady(worker: BrokerWorker): void {
    for (const owner of this.#dead.splice(0)) worker.send({ type: 'reap', owner });
  }

  workerSaid(worker: BrokerWorker, message: BrokerMessage): void {
    if (message.type === 'owner') this.#owners.set(worker, message.owner);
    else this.#ports.get(worker.id)?.receive(message.message);
  }

  /** `others`: all workers of the farm. */
  workerEnded(worker: BrokerWorker, others: readonly BrokerWorker[]): void {
    this.#ports.get(worker.id)?.detach();
    this.#ports.delete(worker.id);
    const owner = this.#owners.get(worker);
    if (owner === undefined) return;
    this.#owners.delete(worker);
    this.#dead.push(owner);
    const other = others.find(({ state }) => state === 'ready');
    if (other !== undefined) this.workerReady(other);
  }

  stop(): void {
    this.#exchange.stop();
  }
}
