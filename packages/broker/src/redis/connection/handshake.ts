import type { Redis } from 'ioredis';
import { authenticate } from './authenticate.ts';
import { answerOf, isDenied, isReplyError } from '../failure.ts';
import type { RedisLocation } from '../redis-url.ts';
import { askRole, roleProblem } from './role.ts';

/** Something that Redis refused and the broker can do without. */
export interface Shortcoming {
  /** Warnings with the same key are given once. */
  readonly kind: 'password' | 'database' | 'role' | 'control' | 'probe' | 'unsubscribe';
  /** One sentence. */
  readonly reason: string;
}

/** A server that answers, and will not do. The message is one sentence. */
export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
}

/**
 * What a new connection sends, in one go: AUTH and SELECT where the URL asks for them, CLIENT SETNAME for CLIENT
 * LIST, and what the server's role is. Rejects with the answer of Redis, or with a HandshakeError, when the server will not do.
 * Returns what it refused and the broker does not need: pub/sub has no databases, and only operators see a name.
 */
export async function shakeHands(
  redis: Redis,
  { credentials, database }: Pick<RedisLocation, 'credentials' | 'database'>,
  shownServer: string,
  connectionName: string,
): Promise<Shortcoming[]> {
  const [authenticated, selected, , role] = await Promise.allSettled([
    credentials === undefined || authenticate(redis, credentials),
    database === 0 ? undefined : redis.select(database),
    redis.client('SETNAME', connectionName),
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
      reason: `Redis at ${shownServer} did not select database ${database} (${answerOf(selected.reason)}), which pub/sub does not need: leave the number out of the URL.`,
    });
  }
  if (role.status === 'fulfilled') {
    const problem = roleProblem(shownServer, role.value);
    if (problem !== undefined) throw new HandshakeError(problem);
  } else {
    if (!isDenied(role.reason)) throw role.reason;
    shortcomings.push(roleUnknown(shownServer, role.reason));
  }
  return shortcomings;
}

export function roleUnknown(shownServer: string, error: Error): Shortcoming {
  return {
    kind: 'role',
    reason: `Redis at ${shownServer} does not say whether it is the master (${answerOf(error)}), so a failover that cuts no connection will not be noticed: give the user +info.`,
  };
}
