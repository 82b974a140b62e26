import type { Fix, NamedFinding, Status } from './finding.ts';

export interface Report {
  readonly connections: number;
  readonly workers: number;
  readonly findings: readonly NamedFinding[];
}

const STATUSES: readonly Status[] = ['ok', 'warn', 'fail', 'skip'];
/** Green, yellow, red, grey (ECMA-48, SGR). */
const COLOURS: Readonly<Record<Status, number>> = { ok: 32, warn: 33, fail: 31, skip: 90 };
const STATUS_COLUMNS = 6;

/** How many findings there are of each status. */
export function tally({ findings }: Report): Readonly<Record<Status, number>> {
  const counts = { ok: 0, warn: 0, fail: 0, skip: 0 };
  for (const { status } of findings) counts[status]++;
  return counts;
}

/** For programs: all that is known, whatever its status. */
export function reportAsJson(report: Report): string {
  const { connections, workers, findings } = report;
  return `${JSON.stringify({ connections, workers, ...tally(report), findings }, undefined, 2)}\n`;
}

/** For people: a line for each finding, and below those that need something why, and what to write. */
export function reportAsText(report: Report, { hasColours }: { readonly hasColours: boolean }): string {
  const { connections, workers, findings } = report;
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.flatMap((finding) => linesOf(finding, width, hasColours));
  const counts = tally(report);
  const summary = STATUSES.filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`)
    .join(', ');
  return [
    `For ${connections.toLocaleString('en-US')} connections and ${workers} workers, with the limits of this shell or container:`,
    '',
    ...lines,
    '',
    `${summary}.`,
    '',
  ].join('\n');
}

function linesOf(
  { check, status, found, needed, why, fix }: NamedFinding,
  width: number,
  hasColours: boolean,
): string[] {
  const word = status.padEnd(STATUS_COLUMNS);
  const shown = hasColours ? `\u001b[${COLOURS[status]}m${word}\u001b[0m` : word;
  const need = needed === '' ? '' : ` (needed: ${needed})`;
  const line = `${shown}${check.padEnd(width)}  ${found}${need}`;
  if (status === 'ok' || status === 'skip') return [line];
  const indent = ' '.repeat(STATUS_COLUMNS);
  return [line, `${indent}${why}`, ...fixesOf(fix).map((text) => `${indent}${text}`)];
}

function fixesOf(fix: readonly Fix[]): string[] {
  const width = Math.max(0, ...fix.map(({ line }) => line.length));
  return fix.map(({ line, where }) => `  ${line.padEnd(width)}  # ${where}`);
}
