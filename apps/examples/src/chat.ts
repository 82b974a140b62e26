import { accept, defineApp, reject } from '@roost/farm';
import type { Connection } from '@roost/farm';

/** Who a connection is: it stays with the connection, also while that sleeps. */
interface Member {
  readonly room: string;
  readonly nick: string;
}

/**
 * ws://localhost:8080/chat?room=lobby&nick=ann talks in a room. A room is a channel, so its members may be on any worker,
 * and with Redis on any host.
 */
export default defineApp<Member>({
  upgrade(request) {
    if (request.path !== '/chat') return undefined;
    const room = request.query.get('room') ?? 'lobby';
    const nick = request.query.get('nick') ?? '';
    if (!/^\w{1,32}$/.test(room)) return reject(400, 'A room is 1 to 32 letters, digits or underscores.');
    if (!/^\w{1,32}$/.test(nick)) return reject(400, 'A nick is 1 to 32 letters, digits or underscores.');
    return accept({ attachment: { room, nick }, channels: [channelOf({ room })] });
  },
  open(connection) {
    return say(connection, ({ nick }) => `* ${nick} joined`);
  },
  message(connection, data, isBinary) {
    if (!isBinary) return say(connection, ({ nick }) => `${nick}: ${data.toString()}`);
    connection.close(1003, 'a chat takes text');
    return undefined;
  },
  close(connection) {
    return say(connection, ({ nick }) => `* ${nick} left`);
  },
});

function say(connection: Connection<Member>, line: (member: Member) => string): Promise<void> {
  const member = connection.attachment;
  return connection.publish(channelOf(member), line(member));
}

function channelOf({ room }: Pick<Member, 'room'>): string {
  return `chat:${room}`;
}
