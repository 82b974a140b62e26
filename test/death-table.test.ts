import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './documents/snippets.ts';
import { specTitlesIn } from './harness/spec-titles.ts';

const RECORD = 'docs/decisions/0042-the-cut.md';

/** A row of the table: what happens, and the specs that hold what becomes of it. */
interface Death {
  readonly what: string;
  readonly specs: readonly { readonly title: string; readonly file: string }[];
}

function deaths(): Death[] {
  const [, table = ''] = readFileSync(join(ROOT, RECORD), 'utf8').split(/^\| What happens .*\n\|.*\n/m);
  const [rows = ''] = table.split(/^$/m);
  return Array.from(rows.matchAll(/^\| (.+?) +\| .+? +\| (.+?) +\|$/gm), ([, what = '', links = '']) => ({
    what,
    specs: Array.from(links.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g), ([, title = '', path = '']) => ({
      title,
      file: normalize(join(dirname(RECORD), path)),
    })),
  }));
}

describe(`the table of deaths in ${RECORD}`, () => {
  it('has a row for each way in which a batch can end', () => {
    expect(deaths().length).toBeGreaterThanOrEqual(20);
  });

  it.each(deaths())('$what: is held by the specs that it names', ({ specs }) => {
    expect(specs.length).toBeGreaterThan(0);
    for (const { title, file } of specs) {
      expect(existsSync(join(ROOT, file)), file).toBe(true);
      expect(specTitlesIn(file)).toContain(title);
    }
  });
});
