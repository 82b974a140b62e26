/**
 * All clients of a soak: `soak-crowd.mjs base options`, with options as JSON, see {@link Options}. Commands, one a line of JSON
 * under `do`:
 *
 *   open     opens all; from then on some come and go
 *   report   what was seen so far, by kind
 *   calm     lets those go that come and go; the others stay, and read
 *   await    waits until the others have heard the last number of each series in `last`, and members know who is there
 *   end      closes them
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { obey } from './obey.mjs';
import { Client } from './soak/client.mjs';
import { EchoClient } from './soak/echo.mjs';
import { Member } from './soak/member.mjs';
import { LateReader, StuckReader } from './soak/slow.mjs';
import { Tally } from './soak/tally.mjs';

/**
 * @import { PusherApp } from './soak/member.mjs'
 *
 * @typedef {object} Options
 * @property {number} readers
 * @property {number} passers Plain clients that come and go.
 * @property {number} echoes
 * @property {number} echoPassers
 * @property {number} members
 * @property {number} memberPassers
 * @property {number} lateReaders
 * @property {number} stuckReaders
 * @property {number} topics
 * @property {number} rooms
 * @property {number} stayMs How long who comes and goes stays on average.
 * @property {number} stuckMs How long a stuck reader does not read.
 * @property {number} echoMs Between two messages of a client.
 * @property {PusherApp} app
 *
 * @typedef {'readers' | 'passers' | 'echoes' | 'echoPassers' | 'members' | 'memberPassers' | 'lateReaders' | 'stuckReaders'} Kind
 */

const OPENING_AT_A_TIME = 32;
const DEADLINE_MS = 120_000;
const POLL_MS = 50;

const base = process.argv[2];
/** @type {Options} */
const options = JSON.parse(process.argv[3]);

/** @type {Record<Kind, Tally>} */
const tallies = {
  readers: new Tally(),
  passers: new Tally(),
  echoes: new Tally(),
  echoPassers: new Tally(),
  members: new Tally(),
  memberPassers: new Tally(),
  lateReaders: new Tally(),
  stuckReaders: new Tally(),
};
let users = 0;
const calmed = new AbortController();
// Everybody who comes and goes listens.
setMaxListeners(0, calmed.signal);
/** @type {Promise<void>[]} Whoever comes and goes. */
const wanderers = [];
const timer = setInterval(() => {
  for (const echo of echoes) echo.sendNext();
}, options.echoMs);

const readers = many(options.readers, (index) => plain('readers', index));
const echoes = many(options.echoes, () => new EchoClient(base, tallies.echoes));
const members = many(options.members, (index) => member('members', `stays-${index}`, index));
const lateReaders = many(options.lateReaders, lateReader);

/**
 * @template Kind
 * @param {number} count
 * @param {(index: number) => Kind} make
 */
function many(count, make) {
  return Array.from({ length: count }, (_, index) => make(index));
}

/**
 * @param {'readers' | 'passers'} kind
 * @param {number} index
 */
function plain(kind, index) {
  const channels = ['news', 'http', `topic-${index % options.topics}`];
  const query = channels.map((channel) => `channel=${channel}`).join('&');
  const client = new Client(`${base}/plain?${query}`, tallies[kind]);
  if (kind === 'readers') for (const channel of channels) client.sequences.expect(channel, 1);
  return client;
}

function lateReader() {
  const reader = new LateReader(`${base}/plain?channel=heavy`, tallies.lateReaders);
  reader.sequences.expect('heavy', 1);
  return reader;
}

/**
 * @param {'members' | 'memberPassers'} kind
 * @param {string} user
 * @param {number} index
 */
function member(kind, user, index) {
  const channel = `presence-room-${index % options.rooms}`;
  const client = new Member(base, tallies[kind], { app: options.app, channel, user });
  if (kind === 'members') client.sequences.expect(channel, 1);
  return client;
}

/** A passer may be a user who is there already: each third comes back as somebody that another still is. */
function passingMember() {
  const number = users++;
  return member('memberPassers', `passes-${number - (number % 3 === 2 ? options.rooms : 0)}`, number);
}

/**
 * Comes, stays for a while and goes, again and again.
 * @template {Client} Passer
 * @param {() => Passer} make
 * @param {(client: Passer) => Promise<unknown>} stay
 */
async function wander(make, stay) {
  for (let visit = 0; !calmed.signal.aborted; visit++) {
    const client = make();
    if (!(await client.open())) {
      await pause(1000);
      continue;
    }
    await stay(client);
    await client.leave(visit % 4 !== 3);
  }
}

/** Up to twice `ms`; shorter when it is time to be calm. */
function pause(/** @type {number} */ ms) {
  return delay(Math.random() * 2 * ms, undefined, { signal: calmed.signal }).catch(() => {});
}

/** @param {EchoClient} echo */
async function passEchoing(echo) {
  echo.sendNext();
  await pause(options.stayMs);
  if (!(await until(() => echo.missing === 0 || !echo.isOpen))) echo.tally.lost += echo.missing;
}

/** @param {Client} client */
async function beStuck(client) {
  client.pause();
  await Promise.race([pause(options.stuckMs), client.ended]);
  client.resume();
  // What waits is read first, or the close frame.
  await Promise.race([pause(options.stuckMs / 4), client.ended]);
}

/** @param {readonly Client[]} clients */
async function openAll(clients) {
  const left = [...clients];
  const opener = async () => {
    for (let client = left.pop(); client !== undefined; client = left.pop()) await client.open();
  };
  await Promise.all(many(OPENING_AT_A_TIME, opener));
}

/**
 * Whether it came to be before the deadline.
 * @param {() => boolean} isThere
 */
async function until(isThere) {
  const deadline = performance.now() + DEADLINE_MS;
  while (!isThere()) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Who is in each room when all others have gone. */
function staying() {
  /** @type {Map<string, Set<string>>} */
  const rooms = new Map();
  members.forEach(({ channel }, index) => {
    const room = rooms.get(channel) ?? new Set();
    rooms.set(channel, room.add(`stays-${index}`));
  });
  return rooms;
}

function report() {
  return Object.fromEntries(Object.entries(tallies));
}

await obey({
  async open() {
    await openAll([...readers, ...echoes, ...members, ...lateReaders]);
    for (const reader of lateReaders) wanderers.push(reader.run());
    for (let index = 0; index < options.passers; index++) {
      wanderers.push(
        wander(
          () => plain('passers', index),
          () => pause(options.stayMs),
        ),
      );
    }
    for (let index = 0; index < options.echoPassers; index++) {
      wanderers.push(wander(() => new EchoClient(base, tallies.echoPassers), passEchoing));
    }
    for (let index = 0; index < options.memberPassers; index++) {
      wanderers.push(wander(passingMember, () => pause(options.stayMs)));
    }
    for (let index = 0; index < options.stuckReaders; index++) {
      const make = () => new StuckReader(`${base}/plain?channel=heavy`, tallies.stuckReaders);
      wanderers.push(wander(make, beStuck));
    }
    return report();
  },
  report,
  async calm() {
    calmed.abort();
    clearInterval(timer);
    for (const reader of lateReaders) reader.calm();
    await Promise.all(wanderers);
    return report();
  },
  async await({ last }) {
    /** @type {(client: Client) => boolean} */
    const isUpToDate = ({ sequences }) =>
      Object.entries(last).every(([series, number]) => [undefined, number].includes(sequences.last(series)));
    const all = [...readers, ...members, ...lateReaders];
    const rooms = staying();
    const knowsAll = (/** @type {Member} */ { channel, members: known }) => {
      const there = rooms.get(channel) ?? new Set();
      return known.size === there.size && [...known].every((user) => there.has(user));
    };
    await until(
      () => all.every(isUpToDate) && members.every(knowsAll) && echoes.every((one) => one.missing === 0),
    );
    return {
      behind: all.filter((client) => !isUpToDate(client)).length,
      echoesMissing: echoes.reduce((sum, { missing }) => sum + missing, 0),
      wrongLists: members.filter((one) => !knowsAll(one)).length,
    };
  },
  async end() {
    await Promise.all(
      [...readers, ...echoes, ...members, ...lateReaders].map((client) => client.leave(true)),
    );
    return report();
  },
});
