/**
 * What the dialect must know of a sleeping connection, as bytes:
 *
 * ```
 * 0  u16 LE  index of its app
 * 2  u8      flags: 1 it has shown that it may be here (it has signed in, or subscribed with a signature)
 * 3  u32 LE  client events: the instant from which the whole rate is due again, in 1/16 ms since the worker's start
 * 7          user_info of the user it is signed in as: JSON in UTF-8; nothing when there is none
 * ```
 *
 * A connection that is refused has 2 bytes: the code, u16 LE, that it is closed with.
 */
const HEAD_BYTES = 7;
const EVENTS_AT = 3;
const REFUSED_BYTES = 2;

const IS_AUTHORIZED = 1;

/** Fine enough for a thousand events in a second; wraps after three days. */
const TICKS_PER_MS = 16;

/** A new connection. `nowMs` is the clock that {@link takeClientEvent} is given. */
export function newSession(app: number, nowMs: number): Uint8Array {
  const session = new Uint8Array(HEAD_BYTES);
  const view = viewOf(session);
  view.setUint16(0, app, true);
  view.setUint32(EVENTS_AT, ticksOf(nowMs), true);
  return session;
}

export function refusedSession(code: number): Uint8Array {
  const session = new Uint8Array(REFUSED_BYTES);
  viewOf(session).setUint16(0, code, true);
  return session;
}

/** The code by which the connection is refused; undefined for one that is not. */
export function refusalOf(session: Uint8Array): number | undefined {
  return session.length === REFUSED_BYTES ? viewOf(session).getUint16(0, true) : undefined;
}

export function appOf(session: Uint8Array): number {
  return viewOf(session).getUint16(0, true);
}

export function isAuthorized(session: Uint8Array): boolean {
  return ((session[2] ?? 0) & IS_AUTHORIZED) !== 0;
}

export function setAuthorized(session: Uint8Array): void {
  session[2] = (session[2] ?? 0) | IS_AUTHORIZED;
}

/** The session of a connection that has signed in with `info`, which is JSON or empty. */
export function withUserInfo(session: Uint8Array, info: string): Uint8Array {
  const bytes = Buffer.from(info);
  const signedIn = new Uint8Array(HEAD_BYTES + bytes.length);
  signedIn.set(session.subarray(0, HEAD_BYTES));
  signedIn.set(bytes, HEAD_BYTES);
  return signedIn;
}

export function userInfoOf(session: Uint8Array): string {
  return Buffer.from(session.buffer, session.byteOffset + HEAD_BYTES, session.length - HEAD_BYTES).toString();
}

/**
 * Whether the connection may send one more client event now; it is counted if so. `perSecond` of them are let through at
 * once, and then that many in each second.
 */
export function takeClientEvent(session: Uint8Array, perSecond: number, nowMs: number): boolean {
  const view = viewOf(session);
  const now = ticksOf(nowMs);
  const step = Math.round((1000 * TICKS_PER_MS) / perSecond);
  const room = step * (perSecond - 1);
  // How far the events so far reach into the future. More than they can: the instant has passed, perhaps days ago.
  const ahead = (view.getUint32(EVENTS_AT, true) - now) >>> 0;
  const debt = ahead > room + step ? 0 : ahead;
  if (debt > room) return false;
  view.setUint32(EVENTS_AT, (now + debt + step) >>> 0, true);
  return true;
}

function ticksOf(nowMs: number): number {
  return Math.floor(nowMs * TICKS_PER_MS) >>> 0;
}

function viewOf(session: Uint8Array): DataView {
  return new DataView(session.buffer, session.byteOffset, session.byteLength);
}
