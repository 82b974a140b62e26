import type { ChannelSnapshot, Publication } from '@roost/broker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ChannelKnowledge } from './channel-knowledge.ts';

const TIMEOUT_MS = 1000;

let knowledge: ChannelKnowledge;
let isUsed: boolean;
let isBehind: boolean;
/** Questions that wait for their answer, oldest first. */
let questions: {
  readonly mark: boolean;
  readonly answer: (snapshot: ChannelSnapshot | undefined | Error) => void;
}[];
/** What was acted on, in order. */
let acted: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  isUsed = true;
  isBehind = false;
  questions = [];
  acted = [];
  knowledge = new ChannelKnowledge({
    timeoutMs: TIMEOUT_MS,
    isUsed: () => isUsed,
    isBehind: () => isBehind,
  });
});
afterEach(() => void vi.useRealTimers());

function snapshot(version: number, ...users: string[]): ChannelSnapshot {
  const members = users.map((user) => ({ user, info: '' }));
  return { version, members, memberCount: users.length, lastEvent: undefined };
}

function publication(
  kind: Publication['kind'],
  version: number,
  rest: Partial<Publication> = {},
): Publication {
  return { channel: 'room', kind, version, payload: Buffer.alloc(0), ...rest };
}

function serve(kind: Publication['kind'], version: number, user?: string): void {
  knowledge.served(publication(kind, version, user === undefined ? {} : { user }));
  acted.push(`served ${version}`);
}

/** Somebody asks, and notes what is known at the moment of acting. */
function ask(name: string, channel = 'room'): Promise<string | undefined> {
  const outcome = knowledge.act(
    channel,
    (mark) =>
      new Promise((resolve, reject) => {
        const settle = (given: ChannelSnapshot | undefined | Error): void => {
          if (given instanceof Error) reject(given);
          else resolve(given);
        };
        questions.push({ mark, answer: settle });
      }),
    (now) => {
      acted.push(
        `${name} at ${now.version}: ${now.members.map(({ user }) => user).join(' ')} (${now.memberCount})`,
      );
      return name;
    },
  );
  outcome.catch(() => undefined);
  return outcome;
}

async function answer(index: number, given: ChannelSnapshot | undefined | Error): Promise<void> {
  questions[index]?.answer(given);
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe('who asks what is known of a channel', () => {
  it('acts when the version of the answer has been served, in one go with it', async () => {
    const outcome = ask('one');
    await answer(0, snapshot(7, 'ada'));
    serve('join', 5, 'early');
    expect(acted).toEqual(['served 5']);
    serve('mark', 7);
    expect(acted).toEqual(['served 5', 'one at 7: ada (1)', 'served 7']);
    expect(await outcome).toBe('one');
  });

  it('acts at once when that has been served already, and is told of all that was served since', async () => {
    const outcome = ask('one');
    serve('join', 5, 'before');
    serve('leave', 8, 'ada');
    serve('join', 9, 'bob');
    await answer(0, snapshot(6, 'ada', 'before'));
    expect(acted.at(-1)).toBe('one at 9: before bob (2)');
    expect(await outcome).toBe('one');
  });

  it('is told of the last event that was served since, and keeps the count of members that were left out', async () => {
    const seen: ChannelSnapshot[] = [];
    const acting = knowledge.act(
      'room',
      () => Promise.resolve({ ...snapshot(1), memberCount: 500 }),
      (now) => void seen.push(now),
    );
    knowledge.served(publication('join', 2, { user: 'ada' }));
    knowledge.served(publication('publication', 3, { event: 'news', payload: Buffer.from('hello') }));
    await acting;
    expect(seen).toEqual([
      {
        version: 3,
        members: [{ user: 'ada', info: '' }],
        memberCount: 501,
        lastEvent: { event: 'news', payload: Buffer.from('hello'), ttlMs: 1 },
      },
    ]);
  });

  it('asks for a mark only as long as it is not known at which version the channel stands', async () => {
    void ask('one');
    expect(questions[0]?.mark).toBe(true);
    await answer(0, snapshot(3));
    serve('mark', 3);
    void ask('two');
    expect(questions[1]?.mark).toBe(false);
    await answer(1, snapshot(3));
    expect(acted).toEqual(['one at 3:  (0)', 'served 3', 'two at 3:  (0)']);
    knowledge.forget('room');
    void ask('three');
    expect(questions[2]?.mark).toBe(true);
  });

  it('waits for nothing where nothing was ever published, and then needs no mark', async () => {
    void ask('one');
    await answer(0, snapshot(0));
    void ask('two');
    expect(questions[1]?.mark).toBe(false);
    await answer(1, snapshot(4, 'ada'));
    expect(acted).toEqual(['one at 0:  (0)']);
    serve('join', 4, 'ada');
    expect(acted.at(-2)).toBe('two at 4: ada (1)');
  });

  it('gets the error of the question, and does not act without an answer', async () => {
    const [failed, none] = [ask('one'), ask('two')];
    await answer(0, new Error('away'));
    await answer(1, undefined);
    await expect(failed).rejects.toThrow('away');
    expect(await none).toBeUndefined();
    expect(acted).toEqual([]);
    expect(knowledge.size).toBe(0);
  });

  it('gets what acting throws, and others act all the same', async () => {
    const failing = knowledge.act(
      'room',
      () => Promise.resolve(snapshot(2)),
      () => {
        throw new Error('no welcome');
      },
    );
    const rejected = expect(failing).rejects.toThrow('no welcome');
    const other = ask('other');
    await answer(0, snapshot(2));
    serve('mark', 2);
    await rejected;
    expect(await other).toBe('other');
  });

  it('is told in time when the version does not come', async () => {
    const outcome = ask('one');
    await answer(0, snapshot(2));
    vi.advanceTimersByTime(TIMEOUT_MS);
    await expect(outcome).rejects.toMatchObject({
      code: 'BROKER_SUBSCRIBE_TIMEOUT',
      message: 'What was published to channel "room" did not arrive within 1000 ms.',
    });
    serve('mark', 2);
    expect(acted).toEqual(['served 2']);
  });

  it('is not given up while what has arrived is not served yet, however long that takes', async () => {
    const outcome = ask('one');
    await answer(0, snapshot(2));
    isBehind = true;
    vi.advanceTimersByTime(10 * TIMEOUT_MS);
    serve('mark', 1);
    isBehind = false;
    vi.advanceTimersByTime(TIMEOUT_MS - 1);
    serve('mark', 2);
    expect(await outcome).toBe('one');

    const other = ask('other');
    await answer(1, snapshot(3));
    isBehind = true;
    vi.advanceTimersByTime(TIMEOUT_MS);
    isBehind = false;
    vi.advanceTimersByTime(TIMEOUT_MS);
    await expect(other).rejects.toMatchObject({ code: 'BROKER_SUBSCRIBE_TIMEOUT' });
  });
});

describe('what may have been missed', () => {
  it.each(['while the answer is awaited', 'while its version is'])('is asked for again: %s', async (when) => {
    const outcome = ask('one');
    if (when === 'while its version is') await answer(0, snapshot(7, 'ada'));
    serve('join', 4, 'bob');
    knowledge.missed('room');
    if (when !== 'while its version is') await answer(0, snapshot(7, 'ada'));
    else await answer(0, undefined);
    // A change that is between what was missed and what comes next must not be taken for the only one.
    serve('join', 9, 'cleo');
    expect(questions).toHaveLength(2);
    expect(questions[1]?.mark).toBe(true);
    await answer(1, snapshot(10, 'ada', 'cleo', 'dora'));
    serve('join', 10, 'dora');
    expect(acted.filter((text) => text.startsWith('one'))).toEqual(['one at 10: ada cleo dora (3)']);
    expect(await outcome).toBe('one');
  });

  it('again and again ends the question', async () => {
    const outcome = ask('one');
    for (let tries = 0; tries < 3; tries++) {
      knowledge.missedAll();
      await answer(tries, snapshot(7));
    }
    await expect(outcome).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    expect(questions).toHaveLength(3);
  });

  it('of one channel does not concern another', async () => {
    const [room, other] = [ask('room'), ask('other', 'other')];
    await answer(0, snapshot(0));
    knowledge.missed('room');
    await answer(1, snapshot(0));
    expect(await Promise.all([room, other])).toEqual(['room', 'other']);
    void ask('again', 'other');
    void ask('again');
    expect(questions.slice(2).map(({ mark }) => mark)).toEqual([false, true]);
  });

  it('was more than is kept for those who wait', async () => {
    const outcome = ask('one');
    for (let version = 1; version <= 1025; version++) serve('join', version, `user-${version}`);
    await answer(0, snapshot(0));
    expect(questions).toHaveLength(2);
    await answer(1, snapshot(1025, 'one of them'));
    serve('mark', 1025);
    expect(await outcome).toBe('one');
  });
});

describe('changes', () => {
  it('are told to each of many who ask at different times as they were for that one', async () => {
    const outcomes = [];
    for (let version = 1; version <= 50; version++) {
      outcomes.push(ask(`q${version}`));
      serve('join', version, `u${version}`);
    }
    // The youngest is answered first, with what was true then.
    for (let index = 49; index >= 0; index--) {
      const users = Array.from({ length: index }, (_, at) => `u${at + 1}`);
      await answer(index, snapshot(index, ...users));
    }
    const all = Array.from({ length: 50 }, (_, at) => `u${at + 1}`).join(' ');
    const told = acted.filter((text) => text.startsWith('q'));
    expect(told).toHaveLength(50);
    for (const text of told) expect(text.slice(text.indexOf(' '))).toBe(` at 50: ${all} (50)`);
    await Promise.all(outcomes);
  });

  it('are kept of nothing when nobody asks and nobody is there', async () => {
    serve('join', 1, 'ada');
    expect(knowledge.size).toBe(0);
    void ask('one');
    await answer(0, snapshot(0));
    expect(knowledge.size).toBe(1);
    isUsed = false;
    void ask('two');
    await answer(1, snapshot(0));
    expect(knowledge.size).toBe(0);
  });
});
