import { eventually, seededRandom, testSeed } from '@roost/testing';
import { afterEach, expect, it } from 'vitest';
import { RoomClient, roomApp } from '../fixtures/rooms.ts';
import { WorkerHarness, type HarnessOptions } from '../fixtures/worker-harness.ts';

const ROOMS = ['red', 'green'];
const USERS = ['ada', 'bob', 'cleo', 'dora', 'eve', 'finn'];

/** A client, and what it wants. */
interface Guest {
  readonly guest: RoomClient;
  /** Rooms that it has joined or is about to, with the user. */
  readonly rooms: Map<string, string>;
}

/** Everybody has the outcome of what he wanted, and knows the truth. */
async function settle(
  guests: readonly Guest[],
  wishes: ReadonlyMap<RoomClient, readonly number[]>,
): Promise<void> {
  const isTrue = (): void => {
    for (const room of ROOMS) {
      const truth = new Set(guests.flatMap(({ rooms }) => rooms.get(room) ?? []));
      for (const { guest, rooms } of guests) {
        for (const id of wishes.get(guest) ?? []) expect(guest.outcomes.get(id), `wish ${id}`).toBeDefined();
        if (!rooms.has(room)) continue;
        expect([...(guest.members.get(room) ?? [])].toSorted(), room).toEqual([...truth].toSorted());
      }
    }
  };
  await eventually(isTrue, { what: 'everybody knows who is there' });
  for (const { guest } of guests) expect(guest.mistakes).toEqual([]);
}

/** What holds for members of channels on two workers, whatever carries their publications. Call it inside a `describe`. */
export function describeExactJoins(
  optionsOf: (first: WorkerHarness | undefined) => HarnessOptions,
  prepare: (worker: WorkerHarness) => void = () => undefined,
): void {
  let workers: WorkerHarness[] = [];

  afterEach(async () => {
    for (const worker of workers.toReversed()) await worker.stop();
    workers = [];
  });

  async function start(): Promise<void> {
    for (let index = 0; index < 2; index++) {
      const app = roomApp(() => workers[index]?.context);
      const options = optionsOf(workers[0]);
      const worker = await WorkerHarness.start(app, { capacity: 128, ...options });
      prepare(worker);
      workers.push(worker);
    }
  }

  async function comeTo(index: number): Promise<RoomClient> {
    const worker = workers[index];
    if (worker === undefined) expect.unreachable();
    return new RoomClient(await worker.client());
  }

  it.each(Array.from({ length: 3 }, testSeed))(
    'members know each change exactly once, whoever comes and goes (seed %d)',
    async (seed) => {
      const random = seededRandom(seed);
      await start();
      const guests: Guest[] = [];
      const wishes = new Map<RoomClient, number[]>();
      let spoken = 0;
      const come = async (): Promise<void> => {
        const guest = await comeTo(random(2));
        guests.push({ guest, rooms: new Map() });
        wishes.set(guest, []);
      };
      for (let count = 0; count < 16; count++) await come();
      for (let step = 1; step <= 600; step++) {
        const at = random(guests.length);
        const [one, room] = [guests[at], ROOMS[random(ROOMS.length)] ?? ''];
        if (one === undefined) expect.unreachable();
        const { guest, rooms } = one;
        const what = random(20);
        if (what < 12 && !rooms.has(room)) {
          const user = USERS[random(USERS.length)] ?? '';
          rooms.set(room, user);
          wishes.get(guest)?.push(guest.join(room, user));
        } else if (what < 16 && rooms.delete(room)) wishes.get(guest)?.push(guest.leave(room));
        else if (what === 16) {
          guests.splice(at, 1);
          if (random(2) === 0) await guest.client.terminate();
          else await guest.client.close();
          await come();
        } else if (what > 16) {
          spoken++;
          void workers[random(2)]?.context?.publish(
            room,
            `${spoken}`,
            random(2) === 0 ? {} : { keepMs: 60_000 },
          );
        }
        // Sometimes all at once, sometimes one after the other.
        if (random(8) === 0) await new Promise((resolve) => setImmediate(resolve));
        if (step % 150 === 0) await settle(guests, wishes);
      }
      await settle(guests, wishes);
      // Who is in has heard everything that is said now, once.
      for (const room of ROOMS) {
        for (let count = 0; count < 5; count++) await workers[0]?.context?.publish(room, `last ${count}`);
      }
      const last = Array.from({ length: 5 }, (_, count) => `last ${count}`);
      await eventually(() => {
        for (const { guest, rooms } of guests) {
          for (const room of rooms.keys()) expect(guest.said.get(room)?.slice(-5)).toEqual(last);
        }
      });
      for (const { guest } of guests) {
        for (const heard of guest.said.values()) expect(new Set(heard).size).toBe(heard.length);
      }
      // When all have gone nobody is left behind.
      for (const { guest } of guests) await guest.client.close();
      const { context } = workers[1] ?? {};
      await eventually(async () => {
        expect(await context?.channelStates(ROOMS)).toMatchObject(ROOMS.map(() => ({ members: 0 })));
      });
    },
  );

  it('a crowd that comes at once is told of each other once', async () => {
    await start();
    const guests = await Promise.all(Array.from({ length: 100 }, (_, index) => comeTo(index % 2)));
    const ids = guests.map((guest, index) => guest.join('red', `user ${index % 60}`));
    await eventually(() => {
      for (const [index, guest] of guests.entries())
        expect(guest.outcomes.get(ids[index] ?? 0)).toBe('joined');
    });
    await eventually(() => {
      for (const guest of guests) expect(guest.members.get('red')?.size).toBe(60);
    });
    for (const guest of guests.slice(0, 60)) guest.leave('red');
    await eventually(() => {
      for (const guest of guests.slice(60)) expect(guest.members.get('red')?.size).toBe(40);
    });
    for (const guest of guests) {
      expect(guest.mistakes).toEqual([]);
      await guest.client.close();
    }
  });
}
