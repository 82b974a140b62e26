import { printable, readableLine } from '../readable-line.ts';

/** What everybody who starts a farm over and over again knows, and what is said in other words here. */
const UNSAID = [
  'worker ready',
  'worker stopped',
  'worker drained',
  'worker could not start',
  'embedded broker serves',
  'fewer connections fit than are wanted',
  'signal received: draining',
  'farm draining',
  'parent process ended: draining',
  'stopped before the farm was ready',
  'farm stopped',
];

export interface ReadyFarm {
  readonly port: number;
  readonly url: string;
  readonly workerCount: number;
  readonly broker: string;
}

/** What a line of a farm's stdout is to a person who develops an app: text to print, news of the farm, or nothing. */
export type DevLine =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'ready'; readonly farm: ReadyFarm }
  | { readonly kind: 'dashboard'; readonly url: string }
  | { readonly kind: 'nothing' };

/** Lines that are not of the log are the app's own, and stay as they are. Warnings and errors have all that they say. */
export function devLine(line: string): DevLine {
  const entry = logEntry(line);
  if (entry === undefined) return { kind: 'text', text: `${line}\n` };
  const { msg } = entry;
  if (msg === 'farm ready') return { kind: 'ready', farm: readyFarm(entry) };
  if (msg === 'admin listener open') return { kind: 'dashboard', url: String(entry['dashboard']) };
  if (UNSAID.some((beginning) => msg.startsWith(beginning)) || isExpected(entry)) return { kind: 'nothing' };
  if (msg === 'farm started, but is not ready yet') {
    const reasons = Array.isArray(entry['reasons']) ? entry['reasons'].join(' ') : '';
    return { kind: 'text', text: ownLine(`not ready yet: ${reasons}`) };
  }
  return { kind: 'text', text: readableLine(line) };
}

/** A line of `roost dev` itself, with the time as in the log. */
export function ownLine(text: string, date = new Date()): string {
  return `${date.toISOString().slice(11, 23)} ${printable(text)}\n`;
}

/** Of a farm that starts or ends as it should. */
function isExpected({ msg, ready, state, reason }: Entry): boolean {
  if (msg === 'readiness changed') return ready === true;
  return msg === 'broker state' && (state === 'stopped' || String(reason).startsWith('The embedded broker'));
}

type Entry = Readonly<Record<string, unknown>> & { readonly msg: string };

function logEntry(line: string): Entry | undefined {
  if (!line.startsWith('{"level":')) return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    return isEntry(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && 'msg' in value && typeof value.msg === 'string';
}

function readyFarm({ port, url, workers, broker }: Entry): ReadyFarm {
  return {
    port: Number(port),
    url: String(url),
    workerCount: Array.isArray(workers) ? workers.length : 0,
    broker: String(broker),
  };
}
