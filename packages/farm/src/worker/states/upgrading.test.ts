import { Arena } from '@roost/broker';
import { setImmediate as immediate } from 'node:timers/promises';
import { parseRequestHead, type RequestHead } from '@roost/websocket';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseAddress } from '../../addresses/address.ts';
import { accept, reject, type UpgradeDecision, type UpgradeRequest } from '../../api/app.ts';
import type { CounterName } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { AllowedOrigins } from '../../options/allowed-origins.ts';
import { TrustedProxies } from '../../options/trusted-proxies.ts';
import type { Decided } from '../app/app-host.ts';
import { RowRig } from '../fixtures/row-rig.ts';
import { upgradeHead } from '../fixtures/worker-harness.ts';
import type { ClientVerdict } from '../master-link/address-counts.ts';
import { Attachments } from '../rows/attachments.ts';
import { Clock } from '../rows/clock.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import { Deadlines } from '../rows/deadlines.ts';
import { Sessions } from '../rows/sessions.ts';
import { Lanes } from '../app/lanes.ts';
import { Users } from '../fan-out/users.ts';
import { Draining } from '../rows/draining.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import { Answering } from './answering.ts';
import { Deciding } from './deciding.ts';
import { Refusing } from './refusing.ts';
import { UpgradeGuards } from './upgrade-guards.ts';
import { Upgrading } from './upgrading.ts';

const SEND_101 =
  'send HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
const MAX_HANDSHAKES = 2;
const PROXY = '10.0.0.1';
const CLIENT = '192.0.2.7';

/** A promise, and the ways to settle it. */
class Later<Value> {
  resolve!: (value: Value) => void;
  reject!: (reason: Error) => void;
  readonly promise = new Promise<Value>((resolve, reject_) => {
    this.resolve = resolve;
    this.reject = reject_;
  });
}

let rig: RowRig;
let slot: number;
let deciding: Deciding;
let upgrading: Upgrading;
let draining: Draining;
let attachments: Attachments;
/** What the upgrade hook was asked, and what it does. */
let requests: UpgradeRequest[];
let hook: () => UpgradeDecision | Promise<UpgradeDecision>;
let openHook: () => void;
/** Whether the client behind a proxy may come in. */
let verdict: ClientVerdict;
/** Channels that the broker has confirmed, and what it answers for the others. */
let confirmed: Set<string>;
let broker: Later<boolean>;

/** The parts that are asked, and note it. */
const NOT_COUNTED = { counts: () => false, joined: () => undefined, left: () => undefined };
const APPS = {
  decide(request: UpgradeRequest): Decided | Promise<Decided> {
    requests.push(request);
    // As apps do that wait for something: they want to know when it is in vain.
    void request.signal;
    const answer = hook();
    return answer instanceof Promise ? answer.then(decidedAs) : decidedAs(answer);
  },
  lanes: new Lanes(() => undefined),
  report: (name: string, error: unknown): void => rig.note(`report ${name}: ${String(error)}`),
  open(): void {
    rig.note('open hook');
    openHook();
  },
};
const SUBSCRIPTIONS = {
  areConfirmed: (channels: readonly string[]): boolean => channels.every((name) => confirmed.has(name)),
  problem: (channels: readonly string[]): string | undefined =>
    channels.includes('bad') ? 'bad is no channel' : undefined,
  reserve(channels: readonly string[]): Promise<boolean> {
    rig.note(`reserve ${channels.join()}`);
    return broker.promise;
  },
  unreserve(channels: readonly string[]): void {
    if (channels.length > 0) rig.note(`unreserve ${channels.join()}`);
  },
  join(_slot: number, channels: readonly string[]): void {
    if (channels.length > 0) rig.note(`join ${channels.join()}`);
  },
  markGap: (): void => rig.note('gap'),
};
const NEXT = { open: reader('open'), closing: reader('closing') };
const LOG: Log = {
  debug: nothing,
  info: nothing,
  warn: (_fields, message) => rig.note(`warn ${message}`),
  error: nothing,
  fatal: nothing,
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  rig = new RowRig();
  ({ slot } = rig);
  requests = [];
  hook = () => accept();
  openHook = nothing;
  verdict = 'uncounted';
  confirmed = new Set();
  broker = new Later();
  draining = new Draining();
  attachments = new Attachments();
  assembleUpgrading();
  rig.timeouts.set(slot, TimeoutKind.handshake);
});
afterEach(() => void vi.useRealTimers());

/** The real parts between a request head and its answer. */
function assembleUpgrading(): void {
  const { table, rows, counters, timeouts, inboundBuffer, sockets, outbound, ending } = rig;
  const clock = new Clock();
  const ground = {
    table,
    rows,
    counters,
    timeouts,
    inboundBuffer,
    sockets,
    outbound,
    ending,
    draining,
    clock,
    attachments,
    deadlines: new Deadlines(table, clock),
    sessions: new Sessions({ table, arena: new Arena() }),
    users: new Users({ table, arena: new Arena(), occupancy: NOT_COUNTED }),
    subscriptions: SUBSCRIPTIONS,
    apps: APPS,
    log: LOG,
  };
  const refusing = new Refusing(ground);
  const answering = new Answering({
    ...ground,
    config: { maxMessageBytes: 1024, compression: true },
    plainHandshakes: { responseTo: () => undefined },
    refusing,
  });
  const guards = new UpgradeGuards({
    ...ground,
    trustedProxies: new TrustedProxies([PROXY]),
    allowedOrigins: new AllowedOrigins(['https://app.example.com']),
    countedRows: { admit: () => verdict },
  });
  const config = { maxHandshakes: MAX_HANDSHAKES };
  upgrading = new Upgrading({ ...ground, config, refusing, next: NEXT });
  deciding = new Deciding({ ...ground, guards, answering, refusing, upgrading });
  rig.states[RowState.upgrading] = upgrading;
  rig.owners.push(upgrading);
  rig.states[RowState.refusing] = refusing;
}

function decidedAs(decision: UpgradeDecision): Decided {
  return { decision, app: 3 };
}

/** The state in which an accepted row goes on. */
function reader(name: string): {
  receive: (slot: number, bytes: Buffer, start: number, end: number) => void;
} {
  return {
    receive: (_slot, bytes, start, end) => rig.note(`${name} reads ${bytes.toString('latin1', start, end)}`),
  };
}

function nothing(): void {
  // Not what these specs are about.
}

interface Ask {
  readonly of?: number;
  /** Header lines. */
  readonly lines?: readonly string[];
  /** What came behind the head. */
  readonly rest?: string;
}

/** A row has its whole request head. */
function ask({ of = slot, lines = [], rest = '' }: Ask = {}): void {
  const bytes = Buffer.from(`${upgradeHead('/', lines)}${rest}`);
  const head = headIn(bytes);
  deciding.begin(of, head, bytes, head.headBytes, bytes.length);
  // As the slab is overwritten.
  bytes.fill('?');
}

function headIn(bytes: Buffer): RequestHead {
  const result = parseRequestHead(bytes, 0, bytes.length, { maxHeadBytes: 8192 });
  if (result.kind !== 'complete') throw new Error(`the head is ${result.kind}`);
  return result.head;
}

function throwing(): never {
  throw new Error('no database');
}

/** Whatever can be wrong with a row or with the farm is wrong. */
function spoil(): void {
  draining.isDraining = true;
  rig.table.setFlag(slot, RowFlag.reserved);
  rig.table.setAddress(slot, parseAddress(PROXY) ?? new Uint8Array(16));
  verdict = 'connections';
}

/** Another row in state handshake. */
function anotherRow(): number {
  return rig.table.allocate(21, 2, new Uint8Array(16), 0);
}

/** Bytes that come while the row is paused. */
function receive(text: string): void {
  const bytes = Buffer.from(text);
  upgrading.receive(slot, bytes, 0, bytes.length);
  bytes.fill('?');
}

/** What was asked of the other parts since the last time, after what is settled has been heard. */
async function asked(): Promise<string[]> {
  await immediate();
  return rig.asked.splice(0);
}

/** The status line of the answer, of all that was asked. */
async function status(): Promise<string | undefined> {
  const heads = (await asked()).filter((what) => what.startsWith('send HTTP/1.1 '));
  expect(heads.length).toBeLessThan(2);
  return heads[0]?.slice('send HTTP/1.1 '.length).replace(/\r\n[^]*\r\n\r\n/, ': ');
}

const BUSY = '503 Service Unavailable: ';

describe('an upgrade that is accepted at once', () => {
  it('is answered within the call: the 101, its channels, the open hook', () => {
    confirmed.add('news').add('chat');
    hook = () => accept({ channels: ['news', 'chat'], attachment: 'Ada' });
    ask();
    expect(rig.asked).toEqual([SEND_101, 'join news,chat', 'open hook']);
    const { table, counters, timeouts } = rig;
    expect(table.state(slot)).toBe(RowState.open);
    expect(table.flags[slot]).toBe(RowFlag.open | RowFlag.sendable | RowFlag.opened);
    expect(table.apps[slot]).toBe(3);
    expect(attachments.get(slot)).toBe('Ada');
    expect(timeouts.kind(slot)).toBe(TimeoutKind.none);
    expect(counters.get('upgrades')).toBe(1);
  });

  it('is never told anything else', async () => {
    ask();
    expect(await asked()).toEqual([SEND_101, 'open hook']);
    vi.advanceTimersByTime(1000);
    expect(await asked()).toEqual([]);
    expect(requests[0]?.signal.aborted).toBe(false);
  });

  it('is read on behind its head', () => {
    ask({ rest: 'frames' });
    expect(rig.asked).toEqual([SEND_101, 'open hook', 'open reads frames']);
  });

  it('is read on as a closing one when its open hook has begun to close it', () => {
    openHook = () => rig.rows.enter(slot, RowState.closing);
    ask({ rest: 'frames' });
    expect(rig.asked).toEqual([SEND_101, 'open hook', 'closing reads frames']);
  });

  it('is not read on when its open hook has ended it', () => {
    openHook = () => rig.rows.end(slot, 1006, '');
    ask({ rest: 'frames' });
    expect(rig.asked).toEqual([SEND_101, 'open hook']);
  });

  it('agrees on compression with a client that offers it', () => {
    ask({ lines: ['Sec-WebSocket-Extensions: permessage-deflate'] });
    expect(rig.asked[0]).toContain('\r\nSec-WebSocket-Extensions: permessage-deflate');
    expect(rig.table.hasFlag(slot, RowFlag.deflate)).toBe(true);
    expect(rig.counters.get('upgrades_compressed')).toBe(1);
  });
});

describe('an upgrade that is refused at once', () => {
  type Case = readonly [whom: string, answer: () => UpgradeDecision, line: string, counter: CounterName];
  const CASES: readonly Case[] = [
    [
      'an app that says so',
      () => reject(401, 'who are you?'),
      '401 Unauthorized: who are you?',
      'refused_by_app',
    ],
    ['no app', () => undefined, '404 Not Found: nothing serves this path', 'refused_by_app'],
    [
      'an app whose headers cannot be sent',
      () => reject(401, 'no', { 'X-A': 'a\nb' }),
      '500 Internal Server Error: the application failed',
      'refused_app_error',
    ],
    [
      'an app that throws',
      throwing,
      '500 Internal Server Error: the application failed',
      'refused_app_error',
    ],
  ];

  it.each(CASES)('by %s', async (_whom, answer, line, counter) => {
    hook = answer;
    ask({ rest: 'frames' });
    expect(rig.table.state(slot)).toBe(RowState.refusing);
    expect(await status()).toBe(line);
    expect(rig.counters.get(counter)).toBe(1);
  });
});

describe('the guards of an upgrade', () => {
  const LINES = ['Origin: https://evil.example', `X-Forwarded-For: ${CLIENT}`];
  const ALLOWED = ['Origin: https://app.example.com', `X-Forwarded-For: ${CLIENT}`];

  it('look at the handshake itself before anything else', async () => {
    spoil();
    const bytes = Buffer.from(upgradeHead('/', LINES).replace('Version: 13', 'Version: 12'));
    const head = headIn(bytes);
    deciding.begin(slot, head, bytes, head.headBytes, bytes.length);
    expect(await status()).toMatch(/^426 Upgrade Required: /);
    expect(rig.counters.get('refused_bad_request')).toBe(1);
    expect(requests).toHaveLength(0);
  });

  it.each([
    ['the drain', () => undefined, LINES, `${BUSY}the server is shutting down`],
    [
      'the place that the row has',
      () => (draining.isDraining = false),
      LINES,
      `${BUSY}the server is at its connection limit`,
    ],
    [
      'the page that asks',
      () => {
        draining.isDraining = false;
        rig.table.clearFlag(slot, RowFlag.reserved);
      },
      LINES,
      '403 Forbidden: pages of this origin may not connect',
    ],
    [
      'the address of the client',
      () => {
        draining.isDraining = false;
        rig.table.clearFlag(slot, RowFlag.reserved);
      },
      ALLOWED,
      '429 Too Many Requests: too many connections from this address',
    ],
  ])('go on with %s, and ask no app', async (_what, repair, lines, line) => {
    spoil();
    repair();
    ask({ lines });
    expect(await status()).toBe(line);
    expect(requests).toHaveLength(0);
  });

  it.each([
    [
      'connections',
      '429 Too Many Requests: too many connections from this address',
      'refused_address_connections',
    ],
    ['rate', '429 Too Many Requests: too many connections from this address', 'refused_address_rate'],
    ['untracked', '101 Switching Protocols: ', 'addresses_untracked'],
    ['counted', '101 Switching Protocols: ', 'upgrades'],
    ['uncounted', '101 Switching Protocols: ', 'upgrades'],
  ] as const)('answer a client that a proxy names and that is %s with %s', async (judged, line, counter) => {
    rig.table.setAddress(slot, parseAddress(PROXY) ?? new Uint8Array(16));
    verdict = judged;
    ask({ lines: ALLOWED });
    expect(await status()).toBe(line);
    expect(rig.counters.get(counter)).toBe(1);
    expect(rig.table.address(slot)).toBe(CLIENT);
  });

  it('leave the limits of addresses to the master where no proxy is trusted', async () => {
    verdict = 'connections';
    ask({ lines: ALLOWED });
    expect(await status()).toBe('101 Switching Protocols: ');
    expect(requests[0]?.remoteAddress).toBe('::');
  });
});

describe('an upgrade that waits for its hook', () => {
  let decision: Later<UpgradeDecision>;
  beforeEach(() => {
    decision = new Later();
    hook = () => decision.promise;
  });

  it('is paused until it is accepted, and then read again behind its 101', async () => {
    ask();
    expect(await asked()).toEqual(['interest paused']);
    expect(rig.table.state(slot)).toBe(RowState.upgrading);
    expect(rig.timeouts.kind(slot)).toBe(TimeoutKind.upgrade);
    decision.resolve(accept());
    expect(await asked()).toEqual([SEND_101, 'open hook', 'interest readable']);
    expect(rig.table.state(slot)).toBe(RowState.open);
    expect(rig.timeouts.kind(slot)).toBe(TimeoutKind.none);
  });

  it('reads what has come behind its head and what has come since, in order', async () => {
    ask({ rest: 'two ' });
    receive('words');
    decision.resolve(accept());
    expect((await asked()).slice(-2)).toEqual(['interest readable', 'open reads two words']);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
  });

  it('leaves what has come to the close that its open hook begins', async () => {
    openHook = () => rig.rows.enter(slot, RowState.closing);
    ask({ rest: 'frames' });
    decision.resolve(accept());
    expect((await asked()).slice(-2)).toEqual(['open hook', 'interest readable']);
  });

  it('is not read again when its open hook has ended it', async () => {
    openHook = () => rig.rows.end(slot, 1006, '');
    ask({ rest: 'frames' });
    decision.resolve(accept());
    expect((await asked()).at(-1)).toBe('open hook');
  });

  it('is asked to be writable, too, when its 101 waits in the queue', async () => {
    ask();
    rig.isStuck = true;
    decision.resolve(accept());
    expect((await asked()).at(-1)).toBe('interest readable and writable');
  });

  it('is read again, for its FIN, when it is refused', async () => {
    ask({ rest: 'frames' });
    decision.resolve(reject(401, 'no'));
    expect(await asked()).toEqual([
      'interest paused',
      'interest readable',
      expect.stringMatching(/^send HTTP\/1\.1 401 /),
      'finish',
    ]);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
  });

  it('gets 500 when the hook rejects, which is reported', async () => {
    ask();
    decision.reject(new Error('no database'));
    const answers = await asked();
    expect(answers).toContain('report upgrade: Error: no database');
    expect(answers).toContainEqual(expect.stringMatching(/^send HTTP\/1\.1 500 /));
    expect(rig.counters.get('refused_app_error')).toBe(1);
  });

  it('gets 503 when the farm has begun to drain', async () => {
    ask();
    draining.isDraining = true;
    decision.resolve(accept());
    expect(await status()).toBe(`${BUSY}the server is shutting down`);
    expect(rig.counters.get('refused_draining')).toBe(1);
  });

  it('gets 503 after upgradeTimeoutMs; the hook is told, and what it answers then is dropped', async () => {
    ask({ rest: 'frames' });
    vi.advanceTimersByTime(199);
    expect(requests[0]?.signal.aborted).toBe(false);
    vi.advanceTimersByTime(3);
    expect(await status()).toBe(`${BUSY}the upgrade took too long`);
    expect(requests[0]?.signal.aborted).toBe(true);
    expect(rig.counters.get('refused_upgrade_timeout')).toBe(1);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
    decision.resolve(accept({ channels: ['news'] }));
    expect(await asked()).toEqual([]);
  });

  it.each([
    ['behind its head', (): void => ask({ rest: 'frames' })],
    [
      'since',
      (): void => {
        ask();
        receive('frames');
      },
    ],
  ])('gets 503 when there is no memory for what has come %s; the hook is told', async (_when, come) => {
    rig.fillInboundBuffer();
    come();
    expect(await status()).toBe(`${BUSY}the server is short of memory for requests`);
    expect(requests[0]?.signal.aborted).toBe(true);
    expect(rig.counters.get('refused_inbound_bytes')).toBe(1);
    decision.resolve(accept());
    expect(await asked()).toEqual([]);
  });

  it('tells the hook of a FIN, and still takes its answer', async () => {
    ask({ rest: 'frames' });
    upgrading.onHalfClose(slot);
    expect(requests[0]?.signal.aborted).toBe(true);
    expect(rig.counters.get('upgrades_abandoned')).toBe(0);
    decision.resolve(accept());
    expect((await asked()).at(-1)).toBe('open reads frames');
  });

  it('tells the hook of a lost client, and drops its answer, whoever has the row then', async () => {
    ask();
    upgrading.onLost(slot);
    expect(rig.hasEnded).toBe(true);
    expect(requests[0]?.signal.aborted).toBe(true);
    expect(rig.counters.get('upgrades_abandoned')).toBe(1);

    rig.table.settle();
    expect(anotherRow()).toBe(slot);
    const first = decision;
    decision = new Later();
    ask();
    await asked();
    first.resolve(accept());
    expect(await asked()).toEqual([]);
    decision.resolve(accept());
    expect(await asked()).toEqual([SEND_101, 'open hook', 'interest readable']);
  });

  it('drops the answer when the worker itself has ended the row', async () => {
    ask();
    rig.rows.end(slot, 1001, '');
    decision.resolve(accept());
    expect(await asked()).toEqual(['interest paused']);
    expect(rig.hasEnded).toBe(true);
  });

  it('reports what the hook throws for a client that is gone, and answers nobody', async () => {
    ask();
    upgrading.onPeerEnd(slot);
    decision.reject(new Error('too late'));
    expect((await asked()).slice(1)).toEqual(['report upgrade: Error: too late']);
    expect(rig.counters.get('refused_app_error')).toBe(0);
  });
});

describe('maxHandshakes', () => {
  let decisions: Later<UpgradeDecision>[];
  let slots: number[];
  beforeEach(async () => {
    decisions = [];
    hook = () => {
      const decision = new Later<UpgradeDecision>();
      decisions.push(decision);
      return decision.promise;
    };
    slots = [slot, anotherRow()];
    for (const of of slots) ask({ of });
    await asked();
  });

  it('refuses one more that would wait; its hook is told, and reported when it throws', async () => {
    ask({ of: anotherRow() });
    expect(await status()).toBe(`${BUSY}too many upgrades are waiting`);
    expect(requests.map(({ signal }) => signal.aborted)).toEqual([false, false, true]);
    expect(rig.counters.get('refused_handshakes')).toBe(1);
    decisions[2]?.reject(new Error('too late'));
    expect(await asked()).toEqual(['report upgrade: Error: too late']);
  });

  it('does not hold for who is answered at once', async () => {
    hook = () => accept();
    ask({ of: anotherRow() });
    expect(await status()).toBe('101 Switching Protocols: ');
  });

  it.each([
    ['accepted', () => decisions[0]?.resolve(accept())],
    ['refused', () => decisions[0]?.resolve(reject(401, 'no'))],
    ['failed', () => decisions[0]?.reject(new Error('no database'))],
    [
      'not confirmed',
      () => {
        decisions[0]?.resolve(accept({ channels: ['news'] }));
        broker.reject(new Error('not in time'));
      },
    ],
    ['lost', () => upgrading.onLost(slot)],
    ['timed out', () => upgrading.onTimeout(slot)],
  ])('has room again when one is %s', async (_how, end) => {
    end();
    await asked();
    ask({ of: anotherRow() });
    expect(await asked()).toEqual(['interest paused']);
  });
});

describe('an upgrade that waits for the broker', () => {
  beforeEach(() => {
    hook = () => accept({ channels: ['news', 'chat'] });
    confirmed.add('chat');
  });

  it('has its channels reserved until it has joined them, with the 101', async () => {
    ask({ rest: 'frames' });
    expect(await asked()).toEqual(['interest paused', 'reserve news,chat']);
    broker.resolve(true);
    expect(await asked()).toEqual([
      SEND_101,
      'join news,chat',
      'open hook',
      'interest readable',
      'open reads frames',
      'unreserve news,chat',
    ]);
  });

  it('also waits when its hook took its time, even for channels that are confirmed', async () => {
    confirmed.add('news');
    hook = () => Promise.resolve(accept({ channels: ['news'] }));
    ask();
    expect(await asked()).toEqual(['interest paused', 'reserve news']);
    broker.resolve(true);
    expect(await asked()).toContain('join news');
  });

  it('has a gap, of which its open hook can know, when the broker is away', async () => {
    ask();
    broker.resolve(false);
    expect((await asked()).slice(-6)).toEqual([
      SEND_101,
      'join news,chat',
      'gap',
      'open hook',
      'interest readable',
      'unreserve news,chat',
    ]);
  });

  it('gets 503 when the broker does not confirm; there is nothing to give back', async () => {
    ask();
    broker.reject(new Error('not in time'));
    expect((await asked()).slice(-4)).toEqual([
      'warn subscriptions of an upgrade failed',
      'interest readable',
      expect.stringMatching(/^send HTTP\/1\.1 503 [^]*the broker did not confirm the channels$/),
      'finish',
    ]);
    expect(rig.counters.get('refused_subscribe')).toBe(1);
  });

  it('gets 503 when the farm has begun to drain, and its channels are given back', async () => {
    ask();
    await asked();
    draining.isDraining = true;
    broker.resolve(true);
    const answers = await asked();
    expect(answers).toContainEqual(
      expect.stringMatching(/^send HTTP\/1\.1 503 [^]*the server is shutting down$/),
    );
    expect(answers.at(-1)).toBe('unreserve news,chat');
  });

  it.each([
    ['is lost', (): void => upgrading.onLost(slot)],
    ['has timed out', (): void => upgrading.onTimeout(slot)],
  ])('gives its channels back when it %s, and is not opened', async (_how, end) => {
    ask();
    await asked();
    end();
    await asked();
    broker.resolve(true);
    expect(await asked()).toEqual(['unreserve news,chat']);
    expect(rig.counters.get('upgrades')).toBe(0);
  });

  it('is not warned of when the broker fails and its client is gone', async () => {
    ask();
    await asked();
    upgrading.onLost(slot);
    broker.reject(new Error('not in time'));
    expect(await asked()).toEqual([]);
    expect(rig.counters.get('refused_subscribe')).toBe(0);
  });

  it('does not ask for channels that cannot be had, and gets 400', async () => {
    hook = () => accept({ channels: ['news', 'bad'] });
    ask();
    const answers = await asked();
    expect(answers[0]).toBe('interest paused');
    expect(answers.filter((what) => what.startsWith('reserve'))).toEqual([]);
    expect(answers).toContainEqual(expect.stringMatching(/^send HTTP\/1\.1 400 [^]*bad is no channel$/));
  });
});
