/**
 * Whether something grows, told from samples that go up and down by themselves: memory does with each garbage collection.
 *
 * Only the second half is looked at: in the first a farm warms up. It is cut into windows, of which each counts with its
 * least sample: what is left after a collection. Through these goes a line by the estimator of Theil and Sen (the median of the
 * slopes between all pairs), which a few windows without a collection do not bend.
 */

/** Enough that the windows in which nothing was collected are a minority, and few enough that most have a collection. */
const WINDOWS = 12;

/**
 * By how much the series has grown over its second half, in its own unit; 0 when there are too few samples to say.
 * @param {readonly number[]} samples In equal intervals.
 */
export function growthOf(samples) {
  const lows = lowsOf(samples.slice(samples.length >> 1));
  /** @type {number[]} */
  const slopes = [];
  for (let one = 0; one < lows.length; one++) {
    for (let other = one + 1; other < lows.length; other++) {
      slopes.push((lows[other] - lows[one]) / (other - one));
    }
  }
  return slopes.length === 0 ? 0 : medianOf(slopes) * (lows.length - 1);
}

/** @param {readonly number[]} samples */
function lowsOf(samples) {
  const windows = Math.min(WINDOWS, samples.length);
  return Array.from({ length: windows }, (_, index) => {
    const from = Math.floor((index * samples.length) / windows);
    const to = Math.floor(((index + 1) * samples.length) / windows);
    return Math.min(...samples.slice(from, to));
  });
}

/** @param {readonly number[]} values */
function medianOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
