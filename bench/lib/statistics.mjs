/** Median, least and most of some numbers; undefined for none. */
export function summarise(values) {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return {
    median: sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2,
    min: sorted[0],
    max: sorted.at(-1),
    runs: values,
  };
}

/**
 * Holds a figure of Roost against its targets. `figure.targets` is a list of `{max}` (an absolute bound) and
 * `{peer, maxRatio}` (Roost's median by the peer's, of the same runs). Answers one line for each target and each peer.
 */
export function judge(figure, summaries) {
  const roost = summaries.Roost;
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
