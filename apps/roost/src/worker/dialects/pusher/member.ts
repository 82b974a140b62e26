import { jsonMember } from '../../json-member.ts';
import { parseObject } from './codec.ts';
import { userProblem } from './names.ts';

/** A user, and what the others may know of it: JSON, or empty. */
export interface Identity {
  readonly user: string;
  readonly info: string;
}

/** Who a client is, or why its text does not say, in words that can follow "The … is invalid:". */
export type IdentityReading = Identity | { readonly problem: string };

/** Reads the `channel_data` of a subscription: `{"user_id":"u1","user_info":{…}}`. A number is taken as its digits. */
export function readChannelData(text: string): IdentityReading {
  return readIdentity(text, 'user_id', (id) => (Number.isSafeInteger(id) ? String(id) : id));
}

/** Reads the `user_data` of a sign-in: `{"id":"u1","user_info":{…}}`. */
export function readUserData(text: string): IdentityReading {
  return readIdentity(text, 'id', (id) => id);
}

function readIdentity(text: string, field: string, textOf: (id: unknown) => unknown): IdentityReading {
  const data = parseObject(text);
  if (data === undefined) return { problem: 'it is not the text of a JSON object' };
  const user = textOf(data[field]);
  if (typeof user !== 'string') return { problem: `its ${field} must be a text` };
  const problem = userProblem(user);
  if (problem !== undefined) return { problem: `its ${field} ${problem}` };
  const info = jsonMember(text, 'user_info') ?? '';
  return { user, info: info === 'null' ? '' : info };
}
