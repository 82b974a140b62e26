import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { REACHED_BY } from './reached-by.ts';

it.each(Object.entries(REACHED_BY))(
  '%s is reached by the spec that the reference names',
  (_, { file, title }) => {
    const source = readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8');
    const titles = Array.from(
      source.matchAll(
        /\b(?:it|describe)[^\n]*\(\s*(['"`])(.*?)\1,|^\s+\]\)\((['"`])(.*?)\3,|^\s+(['"`])(.*?)\5,\s*$/gm,
      ),
      (match) => match[2] ?? match[4] ?? match[6],
    );
    expect(titles).toContain(title);
  },
);
