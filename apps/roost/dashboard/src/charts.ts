import uPlot from 'uplot';
import { made } from './elements.ts';
import type { History } from './history.ts';
import { bytes, count, duration, percent } from './units.ts';

const HEIGHT = 180;
/** Okabe and Ito's, which people with any sight can tell apart. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8a8a8a', '#a6761d'];
/** Lines of a chart with one for each worker; more nobody can tell apart. */
const MAX_LINES = 16;

interface ChartKind {
  readonly title: string;
  /** Label and the name in the history. */
  readonly lines: (workers: readonly number[]) => readonly (readonly [label: string, name: string])[];
  readonly unit: (value: number | null | undefined) => string;
}

const byWorker =
  (name: string): ChartKind['lines'] =>
  (workers) =>
    workers.slice(0, MAX_LINES).map((worker) => [`worker ${worker}`, `${name} ${worker}`]);

const KINDS: readonly ChartKind[] = [
  { title: 'Connections by worker', lines: byWorker('connections'), unit: count },
  {
    title: 'Connections per second',
    lines: () => [
      ['opened', 'opened'],
      ['closed', 'closed'],
      ['refused', 'refused'],
    ],
    unit: count,
  },
  {
    title: 'Messages per second',
    lines: () => [
      ['received', 'messagesReceived'],
      ['sent', 'messagesSent'],
      ['deliveries', 'deliveries'],
      ['publications', 'publications'],
      ['dropped', 'dropped'],
    ],
    unit: count,
  },
  {
    title: 'Bytes per second',
    lines: () => [
      ['in', 'receivedBytes'],
      ['out', 'sentBytes'],
    ],
    unit: bytes,
  },
  {
    title: 'Fan-out of a publication in a worker',
    lines: () => [
      ['p50', 'broadcast p50'],
      ['p99', 'broadcast p99'],
    ],
    unit: duration,
  },
  { title: 'Bytes in queues', lines: () => [['queues', 'queueBytes']], unit: bytes },
  {
    title: 'Event loop delay, hand-off',
    lines: () => [
      ['loop p99', 'loopDelay p99'],
      ['hand-off p99', 'handOff p99'],
    ],
    unit: duration,
  },
  { title: 'Busy workers', lines: byWorker('busy'), unit: percent },
];

/** The charts of a history, as wide as there is room. They are made anew when the workers change. */
export class Charts {
  readonly #place: HTMLElement;
  readonly #history: History;
  #workers = '';
  #charts: { readonly plot: uPlot; readonly names: readonly string[] }[] = [];

  constructor(place: HTMLElement, history: History) {
    this.#place = place;
    this.#history = history;
    new ResizeObserver(() => this.#fit()).observe(place);
  }

  draw(workers: readonly number[]): void {
    const key = workers.join();
    if (key !== this.#workers) this.#make(workers);
    this.#workers = key;
    for (const { plot, names } of this.#charts) plot.setData(this.#columns(names));
  }

  #columns(names: readonly string[]): uPlot.AlignedData {
    const [times = [], ...values] = this.#history.columns(names);
    return [times.map(Number), ...values];
  }

  #make(workers: readonly number[]): void {
    for (const { plot } of this.#charts) plot.destroy();
    this.#place.replaceChildren();
    this.#charts = KINDS.map(({ title, lines, unit }) => {
      const figure = made('figure');
      figure.append(made('figcaption', title));
      this.#place.append(figure);
      const shown = lines(workers);
      const names = shown.map(([, name]) => name);
      const options = optionsOf(
        shown.map(([label]) => label),
        unit,
        widthOf(figure),
      );
      return { plot: new uPlot(options, this.#columns(names), figure), names };
    });
  }

  #fit(): void {
    for (const { plot } of this.#charts) {
      const figure = plot.root.parentElement;
      if (figure !== null) plot.setSize({ width: widthOf(figure), height: HEIGHT });
    }
  }
}

function widthOf(figure: HTMLElement): number {
  const { paddingLeft, paddingRight } = getComputedStyle(figure);
  return Math.max(200, figure.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight));
}

/** A colour of the page. It is looked up at each drawing: day may turn to night while the page is open. */
const colour = (name: string) => (): string => getComputedStyle(document.body).getPropertyValue(name);

function optionsOf(labels: readonly string[], unit: ChartKind['unit'], width: number): uPlot.Options {
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    scales: { y: { range: (_plot, least, most) => [Math.min(0, least), most > 0 ? most * 1.05 : 1] } },
    axes: [axis, { ...axis, size: 64, values: (_plot, splits) => splits.map((value) => unit(value)) }],
    cursor: { y: false },
    series: [
      {},
      ...labels.map((label, index) => ({
        label,
        stroke: COLOURS[index % COLOURS.length] ?? '#8a8a8a',
        // There are fewer colours than lines.
        ...(index >= COLOURS.length && { dash: [6, 4] }),
        width: 1.5,
        spanGaps: false,
        points: { show: false },
        value: (_plot: uPlot, value: number | null) => unit(value),
      })),
    ],
  };
}
