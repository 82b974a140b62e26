import type { BucketCounts } from '../../src/admin/answers.ts';

/** What was observed between two looks at counts that only grow. Undefined when they do not belong together. */
export function since(before: BucketCounts, now: BucketCounts): BucketCounts | undefined {
  if (before.counts.length !== now.counts.length) return undefined;
  const counts = now.counts.map((count, bucket) => count - (before.counts[bucket] ?? 0));
  return counts.every((count) => count >= 0) ? { bounds: now.bounds, counts } : undefined;
}

/**
 * The value that a part of all observations did not exceed, `part` from 0 to 1: as Prometheus does it, by a straight line through
 * the bucket that it falls into. Of what is beyond all bounds only the last bound is known. Null without observations.
 */
export function quantile({ bounds, counts }: BucketCounts, part: number): number | null {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return null;
  const wanted = part * all;
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (below + count >= wanted && count > 0) {
      const upper = bounds[bucket];
      const lower = bounds[bucket - 1] ?? 0;
      return upper === undefined ? lower : lower + ((upper - lower) * (wanted - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
