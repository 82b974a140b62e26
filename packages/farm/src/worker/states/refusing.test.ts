import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CounterName } from '../../api/counters.ts';
import { RowRig } from '../fixtures/row-rig.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import { badChannels, REFUSALS } from './refusals.ts';
import { Refusing } from './refusing.ts';

const FIELDS = 'Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n';

/** What the client gets, and what is counted. */
const ANSWERS: Readonly<Record<keyof typeof REFUSALS, readonly [response: string, counter: CounterName]>> = {
  notTls: [
    `HTTP/1.1 400 Bad Request\r\n${FIELDS}Content-Length: 44\r\n\r\nthis port speaks TLS: use wss:// or https://`,
    'refused_not_tls',
  ],
  originNotAllowed: [
    `HTTP/1.1 403 Forbidden\r\n${FIELDS}Content-Length: 36\r\n\r\npages of this origin may not connect`,
    'refused_origin',
  ],
  noApp: [
    `HTTP/1.1 404 Not Found\r\n${FIELDS}Content-Length: 24\r\n\r\nnothing serves this path`,
    'refused_by_app',
  ],
  headTimeout: [
    `HTTP/1.1 408 Request Timeout\r\n${FIELDS}Content-Length: 39\r\n\r\nthe request head did not arrive in time`,
    'refused_handshake_timeout',
  ],
  limitedAddress: [
    `HTTP/1.1 429 Too Many Requests\r\n${FIELDS}Content-Length: 38\r\nRetry-After: 5\r\n\r\ntoo many connections from this address`,
    'refusals_answered',
  ],
  addressConnections: [
    `HTTP/1.1 429 Too Many Requests\r\n${FIELDS}Content-Length: 38\r\nRetry-After: 5\r\n\r\ntoo many connections from this address`,
    'refused_address_connections',
  ],
  addressRate: [
    `HTTP/1.1 429 Too Many Requests\r\n${FIELDS}Content-Length: 38\r\nRetry-After: 5\r\n\r\ntoo many connections from this address`,
    'refused_address_rate',
  ],
  appFailed: [
    `HTTP/1.1 500 Internal Server Error\r\n${FIELDS}Content-Length: 22\r\n\r\nthe application failed`,
    'refused_app_error',
  ],
  draining: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 27\r\nRetry-After: 5\r\n\r\nthe server is shutting down`,
    'refused_draining',
  ],
  noPlace: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 37\r\nRetry-After: 5\r\n\r\nthe server is at its connection limit`,
    'refused_limit',
  ],
  noMemory: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 42\r\nRetry-After: 5\r\n\r\nthe server is short of memory for requests`,
    'refused_inbound_bytes',
  ],
  tooManyUpgrades: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 29\r\nRetry-After: 5\r\n\r\ntoo many upgrades are waiting`,
    'refused_handshakes',
  ],
  upgradeTimeout: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 25\r\nRetry-After: 5\r\n\r\nthe upgrade took too long`,
    'refused_upgrade_timeout',
  ],
  notConfirmed: [
    `HTTP/1.1 503 Service Unavailable\r\n${FIELDS}Content-Length: 39\r\nRetry-After: 5\r\n\r\nthe broker did not confirm the channels`,
    'refused_subscribe',
  ],
};

let rig: RowRig;
let refusing: Refusing;
let slot: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  rig = new RowRig();
  ({ slot } = rig);
  refusing = new Refusing(rig);
  rig.states[RowState.refusing] = refusing;
});
afterEach(() => void vi.useRealTimers());

describe('a request that is refused', () => {
  it.each(Object.entries(REFUSALS))(
    'for %s is answered in full, then with FIN, and counted',
    (name, refusal) => {
      const [response, counter = 'closed'] = new Map(Object.entries(ANSWERS)).get(name) ?? [];
      refusing.refuse(slot, refusal);
      expect(rig.asked).toEqual([`send ${response}`, 'finish']);
      expect(rig.counters.get(counter)).toBe(1);
    },
  );

  it('for channels that cannot be had says why', () => {
    refusing.refuse(slot, badChannels('a channel name must not be empty'));
    expect(rig.asked).toEqual([
      `send HTTP/1.1 400 Bad Request\r\n${FIELDS}Content-Length: 32\r\n\r\na channel name must not be empty`,
      'finish',
    ]);
    expect(rig.counters.get('refused_by_app')).toBe(1);
  });

  it('with a response of its own gets that', () => {
    refusing.refuseWith(slot, 'HTTP/1.1 418 I am a teapot\r\n\r\n', 'refused_by_app');
    expect(rig.asked).toEqual(['send HTTP/1.1 418 I am a teapot\r\n\r\n', 'finish']);
    expect(rig.counters.get('refused_by_app')).toBe(1);
  });

  it('keeps nothing of what was received, and has closeTimeoutMs to take its answer', () => {
    rig.timeouts.set(slot, TimeoutKind.handshake);
    rig.inboundBuffer.append(slot, Buffer.from('GET / HT'), 0, 8);
    refusing.refuse(slot, REFUSALS.headTimeout);
    expect(rig.inboundBuffer.usedBytes).toBe(0);
    expect(rig.table.state(slot)).toBe(RowState.refusing);
    expect(rig.timeouts.kind(slot)).toBe(TimeoutKind.closing);
  });

  it('is read again first when its upgrade was paused: its FIN is awaited', () => {
    rig.rows.enter(slot, RowState.upgrading);
    refusing.refuse(slot, REFUSALS.noApp);
    expect(rig.asked).toEqual(['interest readable', `send ${ANSWERS.noApp[0]}`, 'finish']);
  });

  it('is not listened to any more', () => {
    refusing.refuse(slot, REFUSALS.noApp);
    refusing.receive();
    expect(rig.asked).toHaveLength(2);
    expect(rig.table.state(slot)).toBe(RowState.refusing);
  });
});

describe('the row of a refused request', () => {
  it('stays until the client sends FIN, for a close would reset what it has not read', () => {
    refusing.refuse(slot, REFUSALS.noApp);
    rig.ending.onFlushed(slot);
    expect(rig.hasEnded).toBe(false);
    refusing.onPeerEnd(slot);
    expect(rig.hasEnded).toBe(true);
  });

  it('that still has a queue at the FIN of the client ends when that is empty', () => {
    rig.isStuck = true;
    refusing.refuse(slot, REFUSALS.noApp);
    refusing.onPeerEnd(slot);
    expect(rig.hasEnded).toBe(false);
    expect(rig.table.state(slot)).toBe(RowState.refusing);
    rig.flush();
    expect(rig.hasEnded).toBe(true);
  });

  it('has no more time for its queue because the client has sent FIN', () => {
    rig.isStuck = true;
    refusing.refuse(slot, REFUSALS.noApp);
    vi.advanceTimersByTime(200);
    refusing.onPeerEnd(slot);
    vi.advanceTimersByTime(102);
    expect(rig.hasEnded).toBe(true);
  });

  it('ends after closeTimeoutMs', () => {
    refusing.refuse(slot, REFUSALS.noApp);
    vi.advanceTimersByTime(299);
    expect(rig.hasEnded).toBe(false);
    vi.advanceTimersByTime(3);
    expect(rig.hasEnded).toBe(true);
    expect(rig.counters.get('close_timeouts')).toBe(1);
  });

  it('ends when the TCP connection is lost', () => {
    refusing.refuse(slot, REFUSALS.noApp);
    refusing.onLost(slot);
    expect(rig.hasEnded).toBe(true);
    expect(rig.counters.get('close_timeouts')).toBe(0);
  });

  it('never was a connection: no close hook is called, and none is counted', () => {
    expect(rig.table.hasFlag(slot, RowFlag.opened)).toBe(false);
    refusing.refuse(slot, REFUSALS.noApp);
    refusing.onPeerEnd(slot);
    expect(rig.closes).toEqual([]);
    expect([rig.counters.get('closed'), rig.counters.get('closed_abnormally')]).toEqual([0, 0]);
  });
});
