import { releaseFilePages, trimMemory } from '@roost/poller';

/**
 * Gives back the pages that an idle worker has no use for: those of freed memory, and those of Node's own file, of which
 * the next messages bring back what they need.
 */
export function giveBackPages(): void {
  trimMemory();
  releaseFilePages();
}
