/** A metric of an answer in the text format of Prometheus (0.0.4). */
export interface Scraped {
  readonly type: string;
  readonly help: string;
  /** By name and labels, as they stand there. */
  readonly samples: Map<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"`;
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (\\S+)$`);

/** Reads an answer strictly: what is not of the format, or is there twice, throws. */
export function parseExposition(text: string): Map<string, Scraped> {
  const metrics = new Map<string, Scraped>();
  const seen = new Set<string>();
  let current: { name: string; metric: Scraped } | undefined;
  let help: { name: string; text: string } | undefined;
  if (!text.endsWith('\n')) throw new Error('The last line must end with a line feed.');
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, helpName, helpText] = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line) ?? [];
    if (helpName !== undefined) {
      help = { name: helpName, text: helpText ?? '' };
      continue;
    }
    const [, typeName, type] = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`).exec(line) ?? [];
    if (typeName !== undefined) {
      if (metrics.has(typeName) || help?.name !== typeName)
        throw new Error(`${typeName} is not described once.`);
      current = { name: typeName, metric: { type: type ?? '', help: help.text, samples: new Map() } };
      metrics.set(typeName, current.metric);
      continue;
    }
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    if (name === undefined || current === undefined) throw new Error(`This is no sample: ${line}`);
    const { type: kind } = current.metric;
    const ownNames =
      kind === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => current?.name + end) : [current.name];
    if (!ownNames.includes(name)) throw new Error(`${name} stands in ${current.name}.`);
    const series = name + labels;
    if (seen.has(series)) throw new Error(`${series} is there twice.`);
    seen.add(series);
    const number = value === '+Inf' ? Infinity : Number(value);
    if (Number.isNaN(number)) throw new Error(`This is no number: ${line}`);
    current.metric.samples.set(series, number);
  }
  for (const [name, metric] of metrics) if (metric.type === 'histogram') checkBuckets(name, metric);
  return metrics;
}

/** Buckets are cumulative, and the last has all. */
function checkBuckets(name: string, { samples }: Scraped): void {
  let last = 0;
  for (const [series, value] of samples) {
    if (!series.startsWith(`${name}_bucket`)) continue;
    if (value < last) throw new Error(`${series} has less than the bucket before it.`);
    last = value;
    if (!series.includes('le="+Inf"')) continue;
    const labels = series.slice(`${name}_bucket`.length).replace(/,?le="\+Inf"/, '');
    if (samples.get(`${name}_count${labels}`) !== value) throw new Error(`${series} is not the count.`);
    last = 0;
  }
}
