import { accept, defineApp, reject } from '@roost/farm';

const ROOM = /^\/room\/([a-z0-9-]{1,32})$/;

/** ws://localhost:8080/room/lobby: what one client says there, all clients of the room hear, on any worker and any host. */
export default defineApp({
  upgrade(request) {
    const [, room] = ROOM.exec(request.path) ?? [];
    if (room === undefined) return reject(404, 'A room is /room/ and 1 to 32 of a-z, 0-9 and -.');
    return accept({ channels: [`room:${room}`] });
  },
  open(connection) {
    connection.send('welcome');
  },
  async message(connection, data, isBinary) {
    if (isBinary) connection.close(1003, 'a room takes text');
    else for (const room of connection.channels) await connection.publish(room, data.toString());
  },
});
