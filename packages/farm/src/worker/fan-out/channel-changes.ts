import type { ChannelSnapshot, LastEvent, Member, Publication } from '@roost/broker';

/** Changes of a channel that have begun to be served, oldest first: publications with a version, without marks. */
export type ChannelChanges = readonly Publication[];

/** What is known of a channel after these changes, of which those that the snapshot has already count no more. */
export function snapshotAfter(snapshot: ChannelSnapshot, changes: ChannelChanges): ChannelSnapshot {
  const later = changes.filter(({ version }) => version > snapshot.version);
  if (later.length === 0) return snapshot;
  const members = new Map<string, Member>(snapshot.members.map((member) => [member.user, member]));
  let { memberCount, lastEvent } = snapshot;
  for (const { kind, user = '', payload, event } of later) {
    if (kind === 'join') {
      members.set(user, { user, info: payload.toString() });
      memberCount++;
    } else if (kind === 'leave') {
      members.delete(user);
      memberCount--;
    } else if (kind === 'publication') lastEvent = keptNow(event, payload);
  }
  const { version } = later.at(-1) ?? snapshot;
  return { version, members: [...members.values()], memberCount, lastEvent };
}

/** It has just been published; for how long it is kept only the store knows. */
function keptNow(event: string | undefined, payload: Buffer): LastEvent {
  return { event, payload, ttlMs: 1 };
}
