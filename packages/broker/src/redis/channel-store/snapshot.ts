import type { ChannelSnapshot, LastEvent, Member } from '../../channel-store.ts';
import { parseEnvelope } from '../../envelope.ts';
import { ownedCopy } from '../../owned-copy.ts';
import { listOf } from './lease.ts';
import type { Reply } from './script-runner.ts';

/** What JOIN and READ answer: `[status, version, number of members, [user, "<n>:<info>", …], last, its ttl]`. */
export function snapshotIn(reply: Reply, memberLimit = Number.POSITIVE_INFINITY): ChannelSnapshot {
  const [, version, memberCount, members = [], last = null, ttlMs] = listOf(reply);
  return {
    version: Number(version),
    members: membersIn(listOf(members), memberLimit),
    memberCount: Number(memberCount),
    lastEvent: Buffer.isBuffer(last) ? lastIn(last, Number(ttlMs)) : undefined,
  };
}

function membersIn(pairs: readonly Reply[], limit: number): Member[] {
  const members: Member[] = [];
  for (let at = 0; at < pairs.length && members.length < limit; at += 2) {
    const value = String(pairs[at + 1]);
    members.push({ user: String(pairs[at]), info: value.slice(value.indexOf(':') + 1) });
  }
  return members;
}

function lastIn(bytes: Buffer, ttlMs: number): LastEvent | undefined {
  // What arrives from Redis is a view of a network chunk.
  const envelope = parseEnvelope(ownedCopy(bytes));
  if (envelope === undefined || ttlMs < 1) return undefined;
  return { event: envelope.event, payload: envelope.payload, ttlMs };
}
