/**
 * @import { Figure } from './row.mjs'
 *
 * @typedef {{ median: number, min: number, max: number, runs: readonly number[] }} Summary
 *
 * @typedef {object} Line What one figure of Roost is, by itself or beside that of a peer.
 * @property {Figure} figure
 * @property {Summary | undefined} roost
 * @property {string} [peerName]
 * @property {Summary | undefined} [peer]
 * @property {number | undefined} [ratio] Roost's median by the peer's.
 * @property {string} [target]
 * @property {boolean | undefined} [passes] Undefined without a target, and when something was not measured.
 */

/**
 * Median, least and most of some numbers; undefined for none.
 * @param {readonly number[]} values
 * @returns {Summary | undefined}
 */
export function summarise(values) {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return {
    median: sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2,
    min: sorted[0],
    max: sorted[sorted.length - 1],
    runs: values,
  };
}

/**
 * Holds a figure of Roost against its targets. Answers one line for each target and each peer.
 * @param {Figure} figure
 * @param {Readonly<Record<string, Summary>>} summaries By name of the server.
 */
export function judge(figure, summaries) {
  const { Roost: roost } = summaries;
  /** @type {Line[]} */
  const lines = [];
  for (const target of figure.targets) {
    if (target.max !== undefined) {
      lines.push({
        figure,
        roost,
        target: `≤ ${target.max} ${figure.unit}`,
        passes: roost && roost.median <= target.max,
      });
    } else {
      const peer = summaries[target.peer];
      const ratio = roost && peer && roost.median / peer.median;
      const passes = ratio === undefined ? undefined : ratio <= target.maxRatio;
      lines.push({
        figure,
        roost,
        peerName: target.peer,
        peer,
        ratio,
        target: `≤ ${target.maxRatio} ×`,
        passes,
      });
    }
  }
  const targeted = new Set(figure.targets.map((target) => target.peer));
  for (const [peerName, peer] of Object.entries(summaries)) {
    if (peerName === 'Roost' || targeted.has(peerName)) continue;
    lines.push({ figure, roost, peerName, peer, ratio: roost && roost.median / peer.median });
  }
  if (lines.length === 0 && roost !== undefined) lines.push({ figure, roost });
  return lines;
}
