import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Recorder } from '../broker.contract.ts';
import { BrokerError } from '../errors.ts';
import { MemoryBrokerExchange } from './exchange.ts';
import type { ExchangePort, WorkerToExchangeMessage } from './link.ts';
import { MemoryBroker } from './memory-broker.ts';

let exchange: MemoryBrokerExchange;

beforeEach(() => {
  exchange = new MemoryBrokerExchange();
});

afterEach(() => exchange.stop());

/** A broker of the exchange whose publications stay on the way until they are let through, and so do acknowledgements. */
class SlowWorker {
  readonly broker: MemoryBroker;
  readonly acknowledgements: number[] = [];
  isAcknowledging = true;
  readonly #port: ExchangePort;
  readonly #onTheWay: WorkerToExchangeMessage[] = [];

  constructor(workerId: number, options: { maxInFlightBytes?: number; publishTimeoutMs?: number } = {}) {
    const seen = new Recorder();
    this.#port = exchange.attach(workerId, (message) => {
      if (message.type === 'published' && !this.isAcknowledging) return false;
      if (message.type === 'published') this.acknowledgements.push(message.count);
      this.broker.onMessage(message);
      return true;
    });
    const link = {
      send: (message: WorkerToExchangeMessage) => this.#onTheWay.push(message) > 0,
      setReading: () => undefined,
    };
    this.broker = new MemoryBroker({ handlers: seen, wanted: seen.wanted, link, ...options });
    void this.broker.start();
  }

  /** Publishes; answers what became of it so far. */
  publish(text: string): { outcome: string } {
    const published = { outcome: '' };
    this.broker.publish('news', Buffer.from(text)).then(
      () => (published.outcome = 'ordered'),
      (error: unknown) => (published.outcome = error instanceof BrokerError ? error.code : String(error)),
    );
    return published;
  }

  letThrough(): void {
    for (const message of this.#onTheWay.splice(0)) this.#port.receive(message);
  }
}

/** The event loop turns once. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a publish of the embedded broker', () => {
  it('resolves when the exchange has ordered it, and not before', async () => {
    const worker = new SlowWorker(0);
    const published = worker.publish('x');
    for (let turns = 0; turns < 10; turns += 1) await turn();
    expect(published.outcome).toBe('');
    worker.letThrough();
    expect(exchange.counters.publicationCount).toBe(1);
    await eventually(() => published.outcome === 'ordered');
  });

  it('is acknowledged together with all others of its turn', async () => {
    const worker = new SlowWorker(0);
    const first = Array.from({ length: 1_500 }, (_, index) => worker.publish(`${index}`));
    worker.letThrough();
    await eventually(() => first.every(({ outcome }) => outcome === 'ordered'));
    const second = [worker.publish('a'), worker.publish('b')];
    worker.letThrough();
    await eventually(() => second.every(({ outcome }) => outcome === 'ordered'));
    expect(worker.acknowledgements).toEqual([1_500, 1_502]);
  });

  it('is acknowledged also when the link was full, without new traffic', async () => {
    const worker = new SlowWorker(0);
    worker.isAcknowledging = false;
    const published = [worker.publish('a'), worker.publish('b')];
    worker.letThrough();
    await turn();
    await turn();
    expect(published[0]?.outcome).toBe('');
    worker.isAcknowledging = true;
    await eventually(() => published.every(({ outcome }) => outcome === 'ordered'));
    expect(worker.acknowledgements).toEqual([2]);
  });

  it('has an unknown outcome when nothing is acknowledged for too long; what comes too late counts for no other', async () => {
    const worker = new SlowWorker(0, { publishTimeoutMs: 40 });
    const lost = [worker.publish('a'), worker.publish('b')];
    await eventually(() => lost.every(({ outcome }) => outcome === 'BROKER_OUTCOME_UNKNOWN'));
    worker.letThrough();
    await eventually(() => worker.acknowledgements.length === 1);
    const next = worker.publish('c');
    await turn();
    await turn();
    expect(next.outcome).toBe('');
    worker.letThrough();
    await eventually(() => next.outcome === 'ordered');
    expect(worker.acknowledgements).toEqual([2, 3]);
  });

  it('waits as long as others are acknowledged', async () => {
    const worker = new SlowWorker(0, { publishTimeoutMs: 60 });
    const started = performance.now();
    const outcomes: { outcome: string }[] = [worker.publish('first')];
    while (performance.now() - started < 200) {
      const last = worker.publish('more');
      outcomes.push(last);
      worker.letThrough();
      await eventually(() => last.outcome !== '');
    }
    expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['ordered']));
  });

  it('is refused when too many bytes are under way, and taken again when they are not', async () => {
    const worker = new SlowWorker(0, { maxInFlightBytes: 10_000 });
    const large = worker.publish('x'.repeat(20_000));
    const refused = worker.publish('x');
    await turn();
    expect([large.outcome, refused.outcome]).toEqual(['', 'BROKER_OVERLOADED']);
    worker.letThrough();
    await eventually(() => large.outcome === 'ordered');
    const many = Array.from({ length: 100 }, () => worker.publish('x'));
    await turn();
    // 10,000 bytes are 11 of 897.
    expect(many.filter(({ outcome }) => outcome === '')).toHaveLength(11);
    worker.letThrough();
    await eventually(() => many.every(({ outcome }) => outcome !== ''));
    expect(many.filter(({ outcome }) => outcome === 'ordered')).toHaveLength(11);
  });

  it('that is not acknowledged when the broker stops has an unknown outcome', async () => {
    const worker = new SlowWorker(0);
    const published = worker.publish('x');
    await worker.broker.stop();
    expect(published.outcome).toBe('BROKER_OUTCOME_UNKNOWN');
  });
});
