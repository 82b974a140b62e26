import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { run } from '../../../fixtures/system-test.ts';
import { endAfterEach, KINDS, startFarm, startOwnRedis } from './fixtures/pusher-farm.ts';
import { clientOf, connected, serverOf, type ClientChannel } from './fixtures/sdk.ts';

const ROOM = 'presence-room';
const USERS = Array.from({ length: 12 }, (_, index) => `user ${index}`);

endAfterEach();

/** Who is in the room by the HTTP API. */
async function usersOf(server: ReturnType<typeof serverOf>): Promise<string[]> {
  const answer = await server.get({ path: `/channels/${ROOM}/users` });
  const { users }: { users: { id: string }[] } = JSON.parse(await answer.text());
  return users.map(({ id }) => id).toSorted();
}

describe.each(KINDS.filter(({ workers }) => workers === 2))(
  'clients of pusher-js in a presence channel: $title',
  ({ isOnRedis }) => {
    it('notice nothing while all workers are replaced, twice', async () => {
      const controlSocket = ['--control-socket', join(tmpdir(), `roost-pusher-${process.pid}.sock`)];
      const redis = isOnRedis ? ['--redis-url', (await startOwnRedis()).url] : [];
      const farm = await startFarm([...controlSocket, '--probation-ms', '0', ...redis]);
      const server = serverOf(farm);
      const clients = await Promise.all(
        USERS.map((user) => connected(clientOf(farm, { user, info: { name: user } }))),
      );
      const states: unknown[] = [];
      const rooms: ClientChannel[] = [];
      for (const client of clients) {
        client.connection.bind('state_change', (change) => states.push(change));
        rooms.push(client.subscribe(ROOM));
      }
      await eventually(() => rooms.every(({ members }) => members?.count === USERS.length));
      const heard = rooms.map((room) => {
        const events: string[] = [];
        room.bind_global((event, data) => events.push(`${event} ${JSON.stringify(data)}`));
        return events;
      });
      const ids = clients.map(({ connection }) => connection.socket_id);

      const expected: string[] = [];
      for (const round of [1, 2]) {
        const { exitCode, stderr } = await run(['reload', ...controlSocket]);
        expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
        await server.trigger(ROOM, 'news', { round });
        expected.push(`news {"round":${round}}`);
        await eventually(() => heard.every((events) => events.length >= expected.length));
      }
      rooms[0]?.trigger('client-hello', { from: 0 });
      await eventually(() => expect(heard[1]).toEqual([...expected, 'client-hello {"from":0}']));
      expect(heard[0]).toEqual(expected);
      for (const events of heard.slice(1)) {
        await eventually(() => expect(events).toEqual([...expected, 'client-hello {"from":0}']));
      }
      expect(states).toEqual([]);
      expect(clients.map(({ connection }) => connection.socket_id)).toEqual(ids);
      expect(await usersOf(server)).toEqual(USERS.toSorted());

      // Who leaves now is told of once, by whichever worker it is with.
      clients[0]?.disconnect();
      await eventually(async () => expect(await usersOf(server)).toEqual(USERS.slice(1).toSorted()));
      for (const events of heard.slice(1)) {
        await eventually(() => expect(events).toHaveLength(expected.length + 2));
        expect(events.at(-1)).toContain('pusher:member_removed');
      }
    });
  },
);
