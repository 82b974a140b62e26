import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { REFUSALS } from '../worker/states/refusals.ts';
import { CLOSE_CODES } from './close-codes.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');

/** All sources below a folder, but for the tests, as one text. The apps are read, not imported: they stand above us. */
function sources(folder: string): string {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(ts|cc|h)$/.test(path) && !/\.(test|contract)\.ts$/.test(path))
    .map((path) => readFileSync(join(ROOT, folder, path), 'utf8'))
    .join('\n');
}

function unique(matches: Iterable<RegExpMatchArray>): string[] {
  return [...new Set(Array.from(matches, (match) => match[1] ?? ''))].toSorted();
}

/** The rows of the table below a heading, cell by cell. */
function rows(heading: string): string[][] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return section
    .split('\n')
    .filter((line) => /^\| `?\d/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('docs/reference/errors.md', () => {
  it('has a heading for every code of an error, and for no other', () => {
    const codes = [
      ...unique(sources('packages/farm/src').matchAll(/'(FARM_ERR_[A-Z_]+)'/g)),
      ...unique(sources('packages/farm/src/testing').matchAll(/'(TESTING_[A-Z_]+)'/g)),
      ...unique(sources('packages/broker/src').matchAll(/'(BROKER_[A-Z_]+)'/g)),
      ...unique(sources('packages/poller').matchAll(/["'](POLLER_(?:UNAVAILABLE|DESTROYED))["']/g)),
      ...unique(sources('packages/websocket/src').matchAll(/'(WEBSOCKET_[A-Z_]+)'/g)),
      ...unique(sources('apps/roost/src').matchAll(/'(CONFIG_ERR_[A-Z_]+|USER_APP_[A-Z_]+)'/g)),
    ];
    expect(unique(PAGE.matchAll(/^### ([A-Z_]+)$/gm))).toEqual(codes.toSorted());
  });

  it('says of each code what it means and what to do', () => {
    for (const section of PAGE.split('\n### ').slice(1)) {
      const [code, , text = ''] = section.split('\n');
      expect(text.length, code).toBeGreaterThan(40);
    }
    for (const row of [
      ...rows('Close codes'),
      ...rows('HTTP statuses'),
      ...rows('Reason codes of tokens'),
      ...rows('Exit codes'),
    ]) {
      for (const cell of row) expect(cell, row[0]).not.toBe('');
    }
  });

  it('lists the errors of the HTTP API as they are', () => {
    const table = sources('apps/roost/src/worker/api').matchAll(
      /\{ code: (\d+), status: (\d+), text: '([^']+)' \}/g,
    );
    const expected = Array.from(table, ([, code, status, text]) => [code, status, `\`${text}\``]);
    expect(expected.length).toBeGreaterThan(5);
    expect(rows('Errors of the HTTP API').map((row) => row.slice(0, 3))).toEqual(expected);
  });

  it('lists the exit codes with their meanings', () => {
    const table = readFileSync(join(ROOT, 'apps/roost/src/exit-codes.ts'), 'utf8').matchAll(
      /code: (\d+),\s*meaning:\s*'([^']+)'/g,
    );
    const expected = Array.from(table, ([, code, meaning]) => [code, meaning]);
    expect(expected.length).toBeGreaterThan(3);
    expect(rows('Exit codes').map((row) => row.slice(0, 2))).toEqual(expected);
  });

  it('lists the close codes as the one table has them', () => {
    const expected = Object.values(CLOSE_CODES).map(({ code, title, reconnect }) => [
      String(code),
      title,
      reconnect,
    ]);
    expect(rows('Close codes').map((row) => row.slice(0, 3))).toEqual(expected);
  });

  it('asks clients to reconnect with 4000 to 4499, and not to with 4500 to 4999', () => {
    for (const { code, reconnect } of Object.values(CLOSE_CODES)) {
      if (code >= 4000) expect(reconnect === 'no', String(code)).toBe(code >= 4500);
    }
  });

  it('lists every status by which the worker refuses', () => {
    const refusals = Object.values(REFUSALS).map(({ status }) => String(status));
    const timeouts = unique(sources('packages/farm/src/worker').matchAll(/refusalResponse\((\d{3})\b/g));
    const heads = unique(
      sources('packages/websocket/src').matchAll(/\b(?:refused|refusalResponse)\(\s*(\d{3})\b/g),
    );
    const tokens = unique(sources('apps/roost/src/worker/tokens').matchAll(/\bstatus: (\d{3})\b/g));
    expect(tokens).toContain('401');
    const expected = new Set([...refusals, ...timeouts, ...heads, ...tokens]);
    expect(rows('HTTP statuses').map(([status]) => status)).toEqual([...expected].toSorted());
  });

  it('lists the reason codes of tokens as they are', () => {
    const table = sources('apps/roost/src/worker/tokens').matchAll(/(token_[a-z_]+): \{\s*status: (\d{3})/g);
    const expected = Array.from(table, ([, code, status]) => [status, `\`${code}\``]);
    expect(expected.length).toBeGreaterThan(10);
    expect(rows('Reason codes of tokens').map((row) => row.slice(0, 2))).toEqual(expected);
  });

  it('links only to headings that it has', () => {
    const anchors = new Set(
      Array.from(PAGE.matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
        heading.toLowerCase().replaceAll(' ', '-'),
      ),
    );
    for (const [, anchor = ''] of PAGE.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
  });
});
