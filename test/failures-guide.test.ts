import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './documents/snippets.ts';
import { failureSections, GUIDE, isQuoted } from './harness/failures-guide.ts';

/** What a section says, in this order. */
const PARTS = ['- **Clients**', '- **By itself**', '- **You**', '[The drill]('];

const sections = failureSections();
const titles = sections.map(({ title }) => title);

/** Titles of drills, with the spec that each is in. */
function drills(): { readonly title: string; readonly path: string; readonly count: number }[] {
  const paths = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && path !== 'failures-guide.test.ts')
    .map((path) => `test/${path}`);
  return paths.flatMap((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    const found = Array.from(text.matchAll(/\bdrillOf\(\s*(?:'([^']+)'|"([^"]+)")/g));
    return found.map(([, one, other]) => ({ title: one ?? other ?? '', path, count: found.length }));
  });
}

describe(GUIDE, () => {
  it('has a section for each drill, and a drill for each section, which it links to', () => {
    expect(
      drills()
        .map(({ title }) => title)
        .toSorted(),
    ).toEqual(titles.toSorted());
    for (const { title, path } of drills()) {
      const { text = '' } = sections.find((section) => section.title === title) ?? {};
      expect(text, title).toContain(`[The drill](../../${path})`);
    }
  });

  it('says of each failure what clients see, what recovers, and what to do', () => {
    for (const { title, text } of sections) {
      const places = PARTS.map((part) => text.indexOf(part));
      expect(places, title).not.toContain(-1);
      expect(places, title).toEqual(places.toSorted((one, other) => one - other));
      // What is quoted, or that there is nothing.
      expect(/^```log$/m.test(text) || /othing is logged/.test(text), title).toBe(true);
    }
  });

  it('has them all in its table, in the same order', () => {
    const [table = ''] = readFileSync(join(ROOT, GUIDE), 'utf8').split(/^## /m);
    const rows = Array.from(table.matchAll(/^\| \[([^\]]+)\]\(#([^)]+)\)/gm), ([, title]) => title);
    expect(rows).toEqual(titles);
  });

  it('quotes lines that the drills compare: other words, other fields or another level would fail', () => {
    const [quoted] = sections.flatMap((section) => section.quoted);
    const line = { ...quoted, time: '2026-11-30T07:00:00.000Z' };
    expect(isQuoted(quoted!, { ...line, pid: 1 })).toBe(true);
    expect(isQuoted(quoted!, { ...line, level: 'info' })).toBe(false);
    expect(isQuoted(quoted!, { ...line, signal: 'SIGABRT' })).toBe(false);
    expect(isQuoted(quoted!, { ...line, more: true })).toBe(false);
    expect(isQuoted({ ...quoted, msg: 'worker…' }, line)).toBe(true);
    expect(isQuoted({ ...quoted, more: true }, line)).toBe(false);
  });

  it('has its drills run by `npm run drills`', () => {
    const manifest: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    );
    const words = manifest.scripts['drills']?.split(' ') ?? [];
    for (const { path } of drills()) {
      expect(
        words.some((word) => word === path || path.startsWith(`${word}/`)),
        path,
      ).toBe(true);
    }
    expect(words).toContain('DRILLS=all');
  });
});
