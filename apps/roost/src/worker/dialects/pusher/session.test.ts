import { describe, expect, it } from 'vitest';
import {
  appOf,
  isAuthorized,
  newSession,
  refusalOf,
  refusedSession,
  setAuthorized,
  takeClientEvent,
  userInfoOf,
  withUserInfo,
} from './session.ts';

describe('a session', () => {
  it('has 7 bytes', () => {
    expect([...newSession(0x0102, 1.5)]).toEqual([2, 1, 0, 24, 0, 0, 0]);
  });

  it('tells the app', () => {
    const session = newSession(999, 0);
    expect([appOf(session), refusalOf(session)]).toEqual([999, undefined]);
  });

  it('tells whether the connection was authorised', () => {
    const session = newSession(0, 0);
    expect(isAuthorized(session)).toBe(false);
    setAuthorized(session);
    expect(isAuthorized(session)).toBe(true);
    expect([...session]).toEqual([0, 0, 1, 0, 0, 0, 0]);
  });

  it('keeps the info of the user beside what it had', () => {
    const session = newSession(3, 0);
    setAuthorized(session);
    const signedIn = withUserInfo(session, '{"name":"Zoë"}');
    expect([appOf(signedIn), isAuthorized(signedIn), userInfoOf(signedIn)]).toEqual([
      3,
      true,
      '{"name":"Zoë"}',
    ]);
    expect(userInfoOf(withUserInfo(signedIn, ''))).toBe('');
    expect(userInfoOf(session)).toBe('');
  });

  it('of a refused connection is the code', () => {
    expect([...refusedSession(4001)]).toEqual([0xa1, 0x0f]);
    expect(refusalOf(refusedSession(4008))).toBe(4008);
  });

  it('is read where it lies, in a larger memory', () => {
    const memory = new Uint8Array(64);
    const session = memory.subarray(5, 5 + 22);
    session.set(withUserInfo(newSession(7, 0), '{"name":"Zoë"}').subarray(0, 22));
    expect([appOf(session), userInfoOf(session)]).toEqual([7, '{"name":"Zoë"}'.slice(0, 14)]);
  });
});

/** How many of `events` at the instants that follow each other by `everyMs` are let through. */
function passed(session: Uint8Array, { events, everyMs, fromMs }: Readonly<Record<string, number>>): number {
  let count = 0;
  for (let at = 0; at < (events ?? 0); at++) {
    if (takeClientEvent(session, 10, (fromMs ?? 0) + at * (everyMs ?? 0))) count += 1;
  }
  return count;
}

describe('client events', () => {
  it.each([0, 12_345.5, 2 ** 28 - 500, 2 ** 28 * 3 + 7])(
    'are let through ten at once and ten in each second, from %d ms',
    (fromMs) => {
      const session = newSession(0, fromMs);
      expect(passed(session, { events: 50, everyMs: 0, fromMs })).toBe(10);
      expect(passed(session, { events: 1, everyMs: 0, fromMs: fromMs + 99 })).toBe(0);
      expect(passed(session, { events: 100, everyMs: 10, fromMs: fromMs + 100 })).toBe(10);
      expect(passed(session, { events: 50, everyMs: 0, fromMs: fromMs + 60_000 })).toBe(10);
    },
  );

  it('are all let through when they come no faster than the rate', () => {
    const session = newSession(0, 0);
    expect(passed(session, { events: 1000, everyMs: 100, fromMs: 1 })).toBe(1000);
  });

  it('are let through after a silence of any length', () => {
    const session = newSession(0, 0);
    for (const days of [1, 1.5, 3, 3.1, 6.2, 25, 60, 100]) {
      expect(passed(session, { events: 20, everyMs: 0, fromMs: days * 86_400_000 }), `${days}`).toBe(10);
    }
  });

  it('may be a thousand in a second', () => {
    const session = newSession(0, 0);
    let count = 0;
    for (let now = 0; now <= 1000; now += 0.125) if (takeClientEvent(session, 1000, now)) count += 1;
    expect(count).toBe(2000);
  });

  it('may be one a second', () => {
    const session = newSession(0, 0);
    const taken = [0, 1, 999, 1000, 1999, 2000].map((now) => takeClientEvent(session, 1, now));
    expect(taken).toEqual([true, false, false, true, false, true]);
  });
});
