import { expect, it } from 'vitest';
import { eventually } from '@roost/testing';
import type { Link, LinkHandlers, SendOutcome } from './link.ts';

/** A message as the contract sends it. */
export interface TestMessage {
  readonly type: string;
  readonly number?: number;
  readonly payload?: Buffer;
  readonly message?: { readonly type: string; readonly payload: Buffer };
}

/** One end of a link, in this process or another. */
export interface End {
  /** Everything received, with payloads of its own. */
  readonly received: readonly TestMessage[];
  /** Why it was closed; one reason at most. */
  readonly reasons: readonly string[];
  open(): Promise<void>;
  send(message: TestMessage): Promise<SendOutcome>;
  sendUrgent(message: TestMessage): Promise<SendOutcome>;
  close(): Promise<void>;
}

/** A link end in this process, which copies what it is lent. */
export class LocalEnd implements End, LinkHandlers<TestMessage> {
  readonly received: TestMessage[] = [];
  readonly reasons: string[] = [];
  readonly link: Link<TestMessage, TestMessage>;

  constructor(link: Link<TestMessage, TestMessage>) {
    this.link = link;
  }

  open(): Promise<void> {
    this.link.open(this);
    return Promise.resolve();
  }

  send(message: TestMessage): Promise<SendOutcome> {
    return Promise.resolve(this.link.send(message));
  }

  sendUrgent(message: TestMessage): Promise<SendOutcome> {
    return Promise.resolve(this.link.sendUrgent(message));
  }

  close(): Promise<void> {
    this.link.close();
    return Promise.resolve();
  }

  linkOnMessage(message: TestMessage): void {
    this.received.push(structuredClone(message));
  }

  linkOnClose(reason: string): void {
    this.reasons.push(reason);
  }
}

export interface LinkContract {
  /** Two connected ends with this bound on what waits. */
  connect(maxBufferedBytes: number): Promise<readonly [LocalEnd, End]>;
}

const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/** What every link between the master and a worker promises. */
export function describeChannel(contract: LinkContract): void {
  const connect = (maxBufferedBytes: number): Promise<readonly [LocalEnd, End]> =>
    contract.connect(maxBufferedBytes);
  const open = async (maxBufferedBytes = MAX_BUFFERED_BYTES): Promise<readonly [LocalEnd, End]> => {
    const ends = await connect(maxBufferedBytes);
    for (const end of ends) await end.open();
    return ends;
  };

  it('carries messages in order, each exactly once, both ways', async () => {
    const [left, right] = await open();
    for (let number = 0; number < 2000; number++) {
      expect(await left.send({ type: 'to the right', number })).toBe('sent');
      if (number % 20 === 0) await right.send({ type: 'to the left', number });
    }
    const there = await arrived(right, 2000);
    expect(there.map(({ number }) => number)).toEqual(Array.from({ length: 2000 }, (_, index) => index));
    const back = await arrived(left, 100);
    expect(back.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_, index) => 20 * index));
  });

  it('carries payloads as the bytes that they are, at the top and inside message', async () => {
    const [left, right] = await open();
    const all = Buffer.from(Uint8Array.from({ length: 256 }, (_, index) => index));
    await left.send({ type: 'ä☾ "quoted"\n', payload: all });
    await left.send({ type: 'broker', message: { type: 'publication', payload: all } });
    await left.send({ type: 'empty', payload: Buffer.alloc(0) });
    await right.send({ type: 'back', payload: all });
    const [top, inside, empty] = await arrived(right, 3);
    expect(top?.type).toBe('ä☾ "quoted"\n');
    expect(Buffer.from(top?.payload ?? []).equals(all)).toBe(true);
    expect(Buffer.from(inside?.message?.payload ?? []).equals(all)).toBe(true);
    expect(empty?.payload).toHaveLength(0);
    const [back] = await arrived(left, 1);
    expect(Buffer.from(back?.payload ?? []).equals(all)).toBe(true);
  });

  it('carries a payload of 1 MiB, among small ones', async () => {
    const [left, right] = await open();
    const large = Buffer.from(Uint8Array.from({ length: 1024 * 1024 }, (_, index) => (index * 7) & 0xff));
    await left.send({ type: 'before', number: 1 });
    await left.send({ type: 'large', payload: large });
    await left.send({ type: 'after', number: 2 });
    await right.send({ type: 'large', payload: large });
    const messages = await arrived(right, 3);
    expect(messages.map(({ type }) => type)).toEqual(['before', 'large', 'after']);
    expect(Buffer.from(messages[1]?.payload ?? []).equals(large)).toBe(true);
    expect(Buffer.from((await arrived(left, 1))[0]?.payload ?? []).equals(large)).toBe(true);
  });

  it('keeps messages until the other side opens', async () => {
    const [left, right] = await connect(MAX_BUFFERED_BYTES);
    await left.open();
    for (let number = 0; number < 10; number++) await left.send({ type: 'early', number });
    expect(right.received).toEqual([]);
    await right.open();
    expect((await arrived(right, 10)).map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('refuses with "overflow" what is beyond the bound, has the same room again for what is urgent, and recovers', async () => {
    const [left, right] = await connect(1024 * 1024);
    await left.open();
    const payload = Buffer.alloc(64 * 1024, 7);
    let sent = 0;
    while ((await left.send({ type: 'bulk', payload })) === 'sent') sent++;
    expect(left.link.bufferedBytes).toBeGreaterThanOrEqual(1024 * 1024);
    expect(left.link.bufferedBytes).toBeLessThan(1024 * 1024 + 2 * payload.length);
    expect(await left.send({ type: 'bulk' })).toBe('overflow');
    expect(await left.sendUrgent({ type: 'urgent', payload })).toBe('sent');
    sent++;
    while ((await left.sendUrgent({ type: 'urgent', payload })) === 'sent') sent++;
    expect(await left.sendUrgent({ type: 'urgent' })).toBe('overflow');
    expect(left.link.bufferedBytes).toBeLessThan(2 * 1024 * 1024 + 2 * payload.length);
    await right.open();
    await arrived(right, sent);
    await eventually(() => left.link.bufferedBytes === 0, { what: 'nothing waits any more' });
    expect(await left.send({ type: 'again' })).toBe('sent');
    expect((await arrived(right, sent + 1)).at(-1)?.type).toBe('again');
    expect(right.received).toHaveLength(sent + 1);
  });

  it('reads nothing while it is told not to, and everything in order afterwards', async () => {
    const [left, right] = await open();
    await right.send({ type: 'first' });
    await arrived(left, 1);
    left.link.setReading(false);
    for (let number = 0; number < 500; number++) await right.send({ type: 'held', number });
    await left.send({ type: 'the other way' });
    await arrived(right, 1);
    expect(left.received).toHaveLength(1);
    left.link.setReading(true);
    const held = await arrived(left, 501);
    expect(held.slice(1).map(({ number }) => number)).toEqual(
      Array.from({ length: 500 }, (_, index) => index),
    );
  });

  it('ends for both when this side closes, after what was sent before', async () => {
    const [left, right] = await open();
    await left.send({ type: 'last', payload: Buffer.alloc(500_000) });
    await left.close();
    await left.close();
    expect(await left.send({ type: 'late' })).toBe('closed');
    await eventually(() => left.reasons.length === 1 && right.reasons.length === 1, {
      what: 'both are told',
    });
    expect(right.received.map(({ type }) => type)).toEqual(['last']);
    expect(right.reasons).toEqual(['the other side ended']);
    expect(await right.send({ type: 'late' })).toBe('closed');
  });

  it('ends for both when the other side closes, after what was sent before', async () => {
    const [left, right] = await open();
    await right.send({ type: 'last', payload: Buffer.alloc(500_000) });
    await right.close();
    expect(await right.send({ type: 'late' })).toBe('closed');
    await eventually(() => left.reasons.length === 1 && right.reasons.length === 1, {
      what: 'both are told',
    });
    expect(left.received.map(({ type }) => type)).toEqual(['last']);
    expect(left.reasons).toEqual(['the other side ended']);
    expect(await left.send({ type: 'late' })).toBe('closed');
  });

  it('that the other side closed before it was opened still gives what was sent, and its end', async () => {
    const [left, right] = await connect(MAX_BUFFERED_BYTES);
    await right.open();
    await right.send({ type: 'early' });
    await right.close();
    await left.open();
    await eventually(() => left.reasons.length === 1, { what: 'the end is told' });
    expect(left.received).toEqual([{ type: 'early' }]);
  });
}

async function arrived(end: End, count: number): Promise<readonly TestMessage[]> {
  await eventually(() => end.received.length >= count, { what: `${count} messages arrive` });
  return end.received;
}
