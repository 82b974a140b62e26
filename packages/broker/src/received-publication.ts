import type { Publication } from './broker.ts';
import { parseEnvelope } from './envelope.ts';
import { ownedCopy } from './owned-copy.ts';

/** A message that has arrived for a channel, out of its envelope if it has one. The bytes are only lent. */
export function receivedPublication(channel: string, message: Uint8Array): Publication {
  const bytes = ownedCopy(message);
  const envelope = parseEnvelope(bytes);
  if (envelope === undefined) return { channel, payload: bytes, kind: 'publication', version: 0 };
  return { channel, ...envelope };
}
