import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@roost/testing';
import type { LogLine } from '@roost/testing';
import { ROOT } from '../documents/snippets.ts';

export const GUIDE = 'docs/guide/failures.md';

/** Long drills are for `npm run drills`; the short ones are part of the suite, too. */
export const hasLongDrills = process.env['DRILLS'] === 'all';

/** What the guide says about one failure. */
export interface FailureSection {
  readonly title: string;
  readonly text: string;
  /** The lines of the log that it quotes. */
  readonly quoted: readonly LogLine[];
}

/** Of the guide, in its order, but for the last, which says where to read on. */
export function failureSections(): FailureSection[] {
  const sections = readFileSync(join(ROOT, GUIDE), 'utf8').split(/^## /m);
  return sections.slice(1, -1).map((text) => ({
    title: text.slice(0, text.indexOf('\n')),
    text,
    quoted: Array.from(text.matchAll(/^```log\n([^]*?)^```$/gm), ([, block = '']) =>
      block
        .trim()
        .split('\n')
        .map((line): LogLine => JSON.parse(line)),
    ).flat(),
  }));
}

/**
 * Makes a spec the drill of a section of the guide, of which there is one: what the section quotes must be what the spec has seen
 * (test/failures-guide.test.ts).
 */
export function drillOf(title: string): Drill {
  const section = failureSections().find((one) => one.title === title);
  if (section === undefined) throw new Error(`${GUIDE} has no section "${title}".`);
  return new Drill(section);
}

export class Drill {
  readonly #section: FailureSection;

  constructor(section: FailureSection) {
    this.#section = section;
  }

  /**
   * Rejects unless every line that the section quotes has been logged, or is within the deadline. A quoted line has all fields
   * but the time. Numbers may differ (ports, pids, durations), and a text that ends with `…` goes on.
   */
  async expectQuoted(logged: () => readonly LogLine[]): Promise<void> {
    const { title, quoted } = this.#section;
    for (const wanted of quoted) {
      await eventually(
        () => {
          const lines = logged();
          if (lines.some((line) => isQuoted(wanted, line))) return;
          const alike = lines.filter(({ msg }) => msg === wanted['msg']).map((line) => JSON.stringify(line));
          throw new Error(`${JSON.stringify(wanted)}; of these: ${alike.join('\n')}`);
        },
        { what: `the line is logged that ${GUIDE} quotes of "${title}"` },
      );
    }
  }

  /** In `npm run drills`: how long something took, which is where the times of the guide are from. */
  tookMs(what: string, from: number): void {
    const tookMs = Math.round(performance.now() - from);
    if (hasLongDrills) console.log(`${this.#section.title}: ${what} after ${tookMs} ms`);
  }
}

export function isQuoted(quoted: LogLine, line: LogLine): boolean {
  const names = Object.keys(line).filter((name) => name !== 'time');
  return (
    names.length === Object.keys(quoted).length &&
    names.every((name) => isSame(JSON.stringify(quoted[name]), JSON.stringify(line[name])))
  );
}

function isSame(quoted: string | undefined, logged: string | undefined): boolean {
  if (quoted === undefined || logged === undefined) return false;
  const [one, other] = [withoutNumbers(quoted), withoutNumbers(logged)];
  const beginning = one.endsWith('…"') ? one.slice(0, -2) : undefined;
  return beginning === undefined ? one === other : other.startsWith(beginning);
}

function withoutNumbers(text: string): string {
  return text.replaceAll(/\d+(?:\.\d+)?/g, '#');
}
