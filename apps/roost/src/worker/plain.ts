import { accept, channelNameProblem, CloseCode, reject } from '@roost/farm';
import type { App, Connection, UpgradeRequest } from '@roost/farm';
import { answer, pathOf } from './http.ts';
import type { PlainOptions } from './options.ts';
import { quote } from './quote.ts';

const PLAIN_PATH = '/plain';

/**
 * The plain dialect: `GET /plain?channel=news&channel=sports` subscribes to these channels for the life of the connection,
 * and each publication arrives as one message, its payload as it was published.
 *
 * Messages of clients end the connection with 4501, unless `clientPublish` is on: then each goes to every channel of its
 * connection, and one that the broker did not take ends the connection with 1013. The dialect has no error message that
 * could tell the client otherwise, and silence would be a lie.
 */
export function plainApp(options: PlainOptions): App {
  return {
    name: 'plain',
    upgrade(request) {
      return request.path === PLAIN_PATH ? decide(request) : undefined;
    },
    message: options.clientPublish ? publishToAll : refuseMessage,
    http(request, response) {
      if (pathOf(request) !== PLAIN_PATH) return false;
      answer(request, response, {
        status: 426,
        type: 'text/plain',
        body: 'This path speaks WebSocket only: connect to ws://…/plain?channel=news.\n',
        // RFC 9110 §7.8: Upgrade is listed in Connection.
        headers: { Upgrade: 'websocket', Connection: 'Upgrade, close' },
      });
      return true;
    },
  };
}

function decide(request: UpgradeRequest): ReturnType<typeof accept> | ReturnType<typeof reject> {
  const channels = new Set(request.query.getAll('channel'));
  if (channels.size === 0) return reject(400, 'Name at least one channel, as in /plain?channel=news.');
  for (const channel of channels) {
    const problem = isReplaced(channel, request) ? 'it is not valid UTF-8' : channelNameProblem(channel);
    if (problem !== undefined) return reject(400, `The channel ${quote(channel)} is refused: ${problem}.`);
  }
  return accept({ channels: [...channels] });
}

/** The query's parser puts U+FFFD for bytes that are not UTF-8, where another client may have sent that very character. */
function isReplaced(channel: string, request: UpgradeRequest): boolean {
  return channel.includes('\uFFFD') && !/%EF%BF%BD/i.test(request.url);
}

function refuseMessage(connection: Connection): void {
  connection.close(CloseCode.messageNotAccepted, 'this server takes no messages from plain clients');
}

async function publishToAll(connection: Connection, data: Buffer): Promise<void> {
  try {
    // All are handed to the broker before the first answer, so that messages stay in order.
    await Promise.all(connection.channels.map((channel) => connection.publish(channel, data)));
  } catch (error) {
    connection.close(CloseCode.tryAgainLater, `the message was not published: ${codeOf(error)}`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'internal error';
}
