import type { Redis } from 'ioredis';
import { isReplyError } from '../failure.ts';
import type { Credentials } from '../redis-url.ts';

/** The server does not want a password, in the words of Redis 6 and of those before. */
const WANTS_NO_PASSWORD = /without any password configured|no password is set/;

/** Sends AUTH. Resolves with false when the server wants no password; rejects with its answer when it does not like this one. */
export async function authenticate(redis: Redis, { username, password }: Credentials): Promise<boolean> {
  try {
    await (username === '' ? redis.auth(password) : redis.auth(username, password));
    return true;
  } catch (error) {
    if (isReplyError(error) && WANTS_NO_PASSWORD.test(error.message)) return false;
    throw error;
  }
}
