import type { JoinRequest } from '../../api/presence.ts';
import { requireUser } from '../../options/user-name.ts';

const MAX_INFO_BYTES = 65_536;

/** Throws a TypeError or a RangeError for what can be no member. */
export function checkMember({ user, info, maxMembers }: NonNullable<JoinRequest['member']>): void {
  requireUser(user);
  if (typeof info !== 'string') throw new TypeError(`info of a member must be a string, got ${typeof info}`);
  const bytes = Buffer.byteLength(info);
  if (bytes > MAX_INFO_BYTES) {
    throw new RangeError(`info of a member has at most ${MAX_INFO_BYTES} bytes of UTF-8, got ${bytes}`);
  }
  if (!(maxMembers >= 1)) throw new RangeError(`maxMembers is 1 or more, got ${String(maxMembers)}`);
}
