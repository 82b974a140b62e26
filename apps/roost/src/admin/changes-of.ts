import type { ChangeStatus } from '@roost/farm';
import type { ShownChange } from './answers.ts';

/** Changes of a farm as the dashboard shows them: the one under way, and the one before. */
export function changesOf({ current, last }: Pick<ChangeStatus, 'current' | 'last'>): ShownChange[] {
  const changes: ShownChange[] = [];
  if (current !== undefined) changes.push({ ...current, state: 'under way', stoppedBy: null, lostBy: null });
  if (last !== undefined) {
    const { report, stoppedBy = null, lostBy = null } = last;
    changes.push({ ...report, state: stoppedBy === null ? 'done' : 'stopped', stoppedBy, lostBy });
  }
  return changes;
}
