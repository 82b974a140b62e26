const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Line */

/** What a farm tells of itself at one moment. */
export class Metrics {
  /** @type {Line[]} */
  #lines = [];

  /** @param {string} text In the text format of Prometheus. */
  constructor(text) {
    for (const line of text.split('\n')) {
      const [, name, labels = '', value] = LINE.exec(line) ?? [];
      if (name === undefined || value === undefined) continue;
      const pairs = Array.from(labels.matchAll(LABEL), ([, label, is]) => [label, is]);
      this.#lines.push({ name, labels: Object.fromEntries(pairs), value: Number(value) });
    }
  }

  /**
   * Over all lines of a metric that have these labels; 0 when there is none.
   * @param {string} name
   * @param {Record<string, string>} [labels]
   */
  sum(name, labels = {}) {
    const wanted = Object.entries(labels);
    return this.#lines
      .filter((line) => line.name === name && wanted.every(([label, is]) => line.labels[label] === is))
      .reduce((sum, { value }) => sum + value, 0);
  }

  /**
   * Sums of a metric by one of its labels, without those that are 0.
   * @param {string} name
   * @param {string} label
   */
  sumBy(name, label) {
    /** @type {Record<string, number>} */
    const sums = {};
    for (const line of this.#lines) {
      if (line.name !== name || line.value === 0) continue;
      const is = line.labels[label];
      sums[is] = (sums[is] ?? 0) + line.value;
    }
    return sums;
  }
}

/** @param {string} url */
export async function readMetrics(url) {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${text}`);
  return new Metrics(text);
}
