import type { PublicationAttributes } from '@roost/broker';
import type { PublishOptions } from '../../api/channel-publication.ts';
import { checkUser } from '../../options/user-name.ts';

const MAX_EVENT_BYTES = 1024;
/** Two decimal integers, of 32 bits and of 42, and a dot. */
const CONNECTION_ID = /^\d{1,10}\.\d{1,16}$/;

/**
 * What the envelope of a publication gets, or undefined when it needs none. Throws a RangeError for an option that is out of its
 * range.
 */
export function publicationAttributes({
  event,
  except,
  user,
}: PublishOptions): PublicationAttributes | undefined {
  if (event === undefined && except === undefined && user === undefined) return undefined;
  if (event !== undefined) checkEvent(event);
  if (except !== undefined) checkExcept(except);
  checkUser(user);
  return {
    ...(event !== undefined && { event }),
    ...(except !== undefined && { except }),
    ...(user !== undefined && { user }),
  };
}

function checkEvent(event: unknown): void {
  if (typeof event !== 'string') throw new RangeError(`an event must be a string, got ${typeof event}`);
  const bytes = Buffer.byteLength(event);
  if (bytes >= 1 && bytes <= MAX_EVENT_BYTES && event.isWellFormed()) return;
  throw new RangeError(`an event must have 1 to ${MAX_EVENT_BYTES} bytes of UTF-8, got ${bytes}`);
}

function checkExcept(except: unknown): void {
  if (typeof except === 'string' && CONNECTION_ID.test(except)) return;
  throw new RangeError(
    `except is the id of a connection, two decimal integers with a dot, got ${JSON.stringify(except)}`,
  );
}
