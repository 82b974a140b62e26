import type { IncomingMessage, ServerResponse } from 'node:http';
import { accept, CloseCode, reject } from '@roost/farm';
import type {
  App,
  Connection,
  TokenClaims,
  UpgradeDecision,
  UpgradeRequest,
  WorkerContext,
} from '@roost/farm';
import { answer } from '../../http.ts';
import type { PlainOptions } from '../../options.ts';
import { quote } from '../../quote.ts';
import { channelsOf, isReplaced, PLAIN_PATH } from './codec.ts';

/** What a token lets a client of /plain do. */
export interface PlainAccess {
  /** Undefined when the client may subscribe to all of the channels. */
  refusal(channels: readonly string[], claims: TokenClaims | undefined): UpgradeDecision;
  /** Those of the channels that `patterns`, the claim `publish`, covers. */
  publishable(channels: readonly string[], patterns: readonly string[]): readonly string[];
  /** Ends a connection that has sent a message which may go nowhere. */
  refuseMessage(connection: Connection): void;
}

interface PlainRights {
  readonly access?: PlainAccess;
  readonly isSigned?: ((channel: string) => boolean) | undefined;
}

/**
 * The attachment of a connection whose messages are published by the right of a token: to all its channels, as is most
 * usual, or to those that the claim covers. Undefined: to none.
 */
type PublishRight = 'all' | readonly string[] | undefined;

/** What upgrades are decided by. */
interface UpgradeRules {
  readonly channelNameProblem: (name: string) => string | undefined;
  readonly access: PlainAccess | undefined;
  readonly clientPublish: boolean;
  readonly isSigned: (channel: string) => boolean;
}

/**
 * The plain dialect: `GET /plain?channel=news&channel=sports` subscribes to these channels for the life of the connection,
 * and each publication arrives as one message, its payload as it was published.
 *
 * Messages of clients end the connection with 4501, unless `clientPublish` is on: then each goes to every channel of its
 * connection, and one that the broker did not take ends the connection with 1013. The dialect has no error message that
 * could tell the client, and silence would mislead it.
 *
 * Where tokens are verified, `access` decides which channels a client may subscribe to, and to which of them its messages
 * go; a message that may go to none ends the connection with 4501.
 *
 * `isSigned` names the channels for which clients of another dialect show a signature. Here nobody without a token gets them.
 */
export function plainApp(
  { channelNameProblem }: Pick<WorkerContext, 'channelNameProblem'>,
  options: PlainOptions,
  { access, isSigned = () => false }: PlainRights = {},
): App {
  const rules: UpgradeRules = { channelNameProblem, access, clientPublish: options.clientPublish, isSigned };
  return {
    name: 'plain',
    upgrade(request) {
      return request.path === PLAIN_PATH ? decide(request, rules) : undefined;
    },
    message: options.clientPublish ? publisher(access) : refuseMessage,
  };
}

/** Answers a request to /plain that is not an upgrade, and would be accepted as one. */
export function askForUpgrade(request: IncomingMessage, response: ServerResponse): void {
  answer(request, response, {
    status: 426,
    type: 'text/plain',
    body: 'This path speaks WebSocket only: connect to ws://…/plain?channel=news.\n',
    // RFC 9110 §7.8: Upgrade is listed in Connection.
    headers: { Upgrade: 'websocket', Connection: 'Upgrade, close' },
  });
}

function decide(
  request: UpgradeRequest,
  { channelNameProblem, access, clientPublish, isSigned }: UpgradeRules,
): UpgradeDecision {
  const channels = channelsOf(request);
  if (channels.length === 0) return reject(400, 'Name at least one channel, as in /plain?channel=news.');
  for (const channel of channels) {
    const problem = isReplaced(channel, request) ? 'it is not valid UTF-8' : channelNameProblem(channel);
    if (problem !== undefined) return reject(400, `The channel ${quote(channel)} is refused: ${problem}.`);
  }
  const signed = request.claims === undefined ? channels.find(isSigned) : undefined;
  if (signed !== undefined)
    return reject(403, `The channel ${quote(signed)} is refused: it needs a signature.`);
  if (access === undefined) return accept({ channels });
  return (
    access.refusal(channels, request.claims) ??
    accept({
      channels,
      attachment: clientPublish ? publishRight(channels, request.claims?.publish ?? [], access) : undefined,
    })
  );
}

function publishRight(
  channels: readonly string[],
  patterns: readonly string[],
  access: PlainAccess,
): PublishRight {
  const { length } = access.publishable(channels, patterns);
  if (length === channels.length) return 'all';
  return length === 0 ? undefined : patterns;
}

function publisher(access: PlainAccess | undefined): NonNullable<App['message']> {
  if (access === undefined) return (connection, data) => publishTo(connection.channels, connection, data);
  return (connection, data) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only this app sets its attachments
    const right = connection.attachment as PublishRight;
    if (right === undefined) {
      access.refuseMessage(connection);
      return undefined;
    }
    const { channels } = connection;
    return publishTo(right === 'all' ? channels : access.publishable(channels, right), connection, data);
  };
}

function refuseMessage(connection: Connection): void {
  connection.close(CloseCode.messageNotAccepted, 'this server takes no messages from plain clients');
}

async function publishTo(channels: readonly string[], connection: Connection, data: Buffer): Promise<void> {
  try {
    // All are handed to the broker before the first answer, so that messages stay in order.
    await Promise.all(channels.map((channel) => connection.publish(channel, data)));
  } catch (error) {
    connection.close(CloseCode.tryAgainLater, `the message was not published: ${codeOf(error)}`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'internal error';
}
