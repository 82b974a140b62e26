import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Figure {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly servers: Readonly<Record<string, { readonly median: number }>>;
}

interface Row {
  readonly row: string;
  readonly machine: Readonly<Record<string, unknown>>;
  readonly figures: readonly Figure[];
}

const CHARTS = {
  'cpu.svg': ['handshake/cpu', 'echo/cpu', 'broadcast/cpu'],
  'memory.svg': ['idle/slope', 'idle/first'],
};

/** All figures of the charts: their alt texts refer to the table. */
const IN_THE_TABLE = [
  ...CHARTS['memory.svg'],
  'empty-worker/embedded',
  'empty-worker/own',
  ...CHARTS['cpu.svg'],
];

const { rows }: { rows: Row[] } = JSON.parse(read('docs/charts/figures.json'));
const figures = new Map(rows.flatMap((row) => row.figures.map((one) => [`${row.row}/${one.key}`, one])));

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/** `4,302 B`, by name of the server; written anew here, so that the bench's own way of writing it is held against something. */
function labelsOf({ servers, digits, unit }: Figure): Map<string, string> {
  const label = (value: number) => {
    const [whole, ...fraction] = Math.abs(value).toFixed(digits).split('.');
    const grouped = whole!.replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
    return `${value < 0 ? '−' : ''}${[grouped, ...fraction].join('.')} ${unit}`;
  };
  return new Map(Object.entries(servers).map(([name, { median }]) => [name, label(median)]));
}

/** Lines of the README's table: the cells of a line by the names in its header. */
function readTable(readme: string): Map<string, Map<string, string>> {
  const lines = readme
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const header = lines.find((cells) => cells.includes('Roost'));
  if (header === undefined) return new Map();
  return new Map(
    lines.map((cells) => [cells[1] ?? '', new Map(cells.map((cell, i) => [header[i] ?? '', cell]))]),
  );
}

describe('charts', () => {
  it.each(Object.entries(CHARTS))('%s shows the figures of figures.json', (file, keys) => {
    const texts = new Set(
      Array.from(read(`docs/charts/${file}`).matchAll(/>([^<]+)<\/text>/g), ([, text]) => text),
    );
    for (const key of keys) {
      for (const [name, label] of labelsOf(figures.get(key)!)) {
        expect(texts, `${key} of ${name}`).toContain(name);
        expect(texts, `${key} of ${name}`).toContain(label);
      }
    }
  });

  it.each(Object.entries(CHARTS))(
    '%s is described by the alt text of the README, in one line',
    (file, keys) => {
      const alt = new RegExp(`!\\[([^\\]]+)\\]\\(docs/charts/${file}\\)`).exec(read('README.md'))?.[1] ?? '';
      for (const key of keys) expect(alt.toLowerCase()).toContain(figures.get(key)?.title.toLowerCase());
      expect(alt.length).toBeLessThan(200);
    },
  );

  it.each(IN_THE_TABLE.filter((key) => figures.has(key)))(
    '%s is the same in the table of the README',
    (key) => {
      const figure = figures.get(key)!;
      const cells = readTable(read('README.md')).get(figure.title);
      for (const [name, label] of labelsOf(figure)) {
        expect(cells?.get(name)?.replace(/ \(.*\)$/, ''), `${key} of ${name}`).toBe(label);
      }
    },
  );

  it('have no path and no name of a host in their figures', () => {
    const known = ['date', 'cpu', 'cpus', 'memoryGb', 'kernel', 'node', 'commit', 'busyCpus'];
    for (const { machine } of rows) {
      expect(known).toEqual(expect.arrayContaining(Object.keys(machine)));
      expect(machine['kernel']).toMatch(/^[\d.]+$/);
    }
    expect(read('docs/charts/figures.json')).not.toContain('/home');
  });
});
