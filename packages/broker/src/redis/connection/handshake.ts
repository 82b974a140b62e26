import type { Redis } from 'ioredis';
import { authenticate } from './authenticate.ts';
import { answerOf, isDenied, isReplyError } from '../failure.ts';
import type { RedisLocation } from '../redis-url.ts';
import { askRole, roleProblem } from './role.ts';

/** Something that Redis refused and the broker can do without. */
export interface Shortcoming {
  /** Warnings with the same key are given once. */
  readonly kind: 'password' | 'database' | 'role' | 'control' | 'probe' | 'marks' | 'unsubscribe' | 'store';
  /** One sentence. */
  readonly reason: string;
  /** It may end and begin again: then it is told again, as often as it is reported. */
  readonly mayRecur?: true;
}

/** What a server has said to a new connection. */
export interface Greeting {
  readonly shortcomings: readonly Shortcoming[];
  /** Its `run_id`; undefined when it does not say, or does not execute all publishes in one order. */
  readonly server: string | undefined;
}

/** A server that answers, and will not do. The message is one sentence. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/**
 * What a new connection sends, in one go: AUTH and SELECT where the URL asks for them, CLIENT SETNAME for CLIENT
 * LIST, and who the server is and its role. Rejects with the answer of Redis, or with a HandshakeError, when the server will not do.
 * Returns also what it refused and the broker does not need: pub/sub has no databases, and only operators see a name.
 */
export async function shakeHands(
  redis: Redis,
  { credentials, database }: Pick<RedisLocation, 'credentials' | 'database'>,
  shownServer: string,
  connectionName: string,
): Promise<Greeting> {
  const [authenticated, selected, , server, role] = await Promise.allSettled([
    credentials === undefined || authenticate(redis, credentials),
    database === 0 ? undefined : redis.select(database),
    redis.client('SETNAME', connectionName),
    askServer(redis),
    askRole(redis),
  ]);
  const shortcomings: Shortcoming[] = [];
  if (authenticated.status === 'rejected') throw authenticated.reason;
  if (!authenticated.value) {
    shortcomings.push({
      kind: 'password',
      reason: `Redis at ${shownServer} needs no password although the URL has one: any program that reaches it can publish to all clients.`,
    });
  }
  if (selected.status === 'rejected') {
    if (!isReplyError(selected.reason)) throw selected.reason;
    shortcomings.push({
      kind: 'database',
      reason: `Redis at ${shownServer} did not select database ${database} (${answerOf(selected.reason)}), which pub/sub does not need; presence, counts and last events are in database 0 then: leave the number out of the URL.`,
    });
  }
  if (role.status === 'fulfilled') {
    const problem = roleProblem(shownServer, role.value);
    if (problem !== undefined) throw new HandshakeError(problem);
  } else {
    if (!isDenied(role.reason)) throw role.reason;
    shortcomings.push(roleUnknown(shownServer, role.reason));
  }
  if (server.status === 'rejected' && !isReplyError(server.reason)) throw server.reason;
  return { shortcomings, server: server.status === 'fulfilled' ? server.value : undefined };
}

async function askServer(redis: Redis): Promise<string | undefined> {
  const info = await redis.info('server');
  // Its threads execute publishes of different channels side by side.
  if (info.includes('\ndragonfly_version:')) return undefined;
  return /^run_id:(\w+)/m.exec(info)?.[1];
}

export function roleUnknown(shownServer: string, error: Error): Shortcoming {
  return {
    kind: 'role',
    reason: `Redis at ${shownServer} does not say whether it is the master (${answerOf(error)}), so a failover that cuts no connection will not be noticed: give the user +info.`,
  };
}
