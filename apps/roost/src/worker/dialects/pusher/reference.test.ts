import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { REQUEST_ERRORS } from './api/errors.ts';
import { CLOSE_CODES } from './close-codes.ts';
import { CLOSING_ERRORS, MESSAGE_ERRORS, SUBSCRIPTION_ERRORS } from './errors.ts';

const PAGE = readFileSync(new URL('../../../../../../docs/reference/pusher.md', import.meta.url), 'utf8');

/** The cells of the tables below a heading; a table of the section by its first column. */
function rows(heading: string, column = 'code'): string[][] {
  const section = PAGE.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const tables = section.split('\n\n').filter((block) => block.startsWith('|'));
  const table = tables.find((block) => cellsOf(block.split('\n')[0] ?? '')[0] === column);
  return (table ?? '')
    .split('\n')
    .slice(2)
    .filter((line) => line !== '')
    .map(cellsOf);
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

const code = (value: number | null): string => (value === null ? '`null`' : String(value));

describe('docs/reference/pusher.md', () => {
  it('lists the errors that close a connection as they are', () => {
    expect(rows('Closed connections').map((cells) => cells.slice(0, 2))).toEqual(
      Object.values(CLOSING_ERRORS).map((error) => [code(error.code), error.message]),
    );
  });

  it('lists the codes that replace those of the farm', () => {
    const replaced = Object.entries(CLOSE_CODES).map(([from, to]) => [from, String(to.code)]);
    const listed = rows('Closed connections', 'elsewhere').map((cells) => cells.slice(0, 2));
    expect(new Set(listed.map(String))).toEqual(new Set(replaced.map(String)));
  });

  it('lists the errors that refuse a subscription as they are', () => {
    expect(rows('Refused subscriptions').map((cells) => cells.slice(0, 4))).toEqual(
      Object.values(SUBSCRIPTION_ERRORS).map((error) => [
        code(error.code),
        `\`${error.type}\``,
        String(error.status),
        error.message,
      ]),
    );
  });

  it('lists the errors of messages as they are', () => {
    expect(rows('Refused messages').map((cells) => cells.slice(0, 2))).toEqual(
      Object.values(MESSAGE_ERRORS).map((error) => [code(error.code), error.message]),
    );
  });

  it('lists the statuses of the HTTP API as they are', () => {
    expect(rows('The HTTP API', 'status').map((cells) => cells.slice(0, 2))).toEqual(
      Object.values(REQUEST_ERRORS).map(({ status, text }) => [String(status), text]),
    );
  });

  it('says of each what to do', () => {
    const all = [
      ...rows('Closed connections'),
      ...rows('Refused subscriptions'),
      ...rows('Refused messages'),
      ...rows('The HTTP API', 'status'),
    ];
    expect(all.length).toBeGreaterThan(30);
    for (const cells of all) expect(cells.at(-1)?.length, cells.join(' ')).toBeGreaterThan(10);
  });
});

describe('the errors of the dialect', () => {
  it('have codes by which no client goes where it should not', () => {
    for (const error of Object.values(CLOSING_ERRORS)) {
      // Others make pusher-js insist on TLS, come back at once, or never without a reason.
      expect(error.code, error.message).toSatisfy((value: number) => value > 4000 && value < 4200);
      expect(Buffer.byteLength(error.message), error.message).toBeLessThanOrEqual(123);
    }
    for (const { code: sent } of Object.values(CLOSE_CODES)) {
      expect([4009, 4100, 4201]).toContain(sent);
    }
  });

  it('have codes of their own where they close a connection, for a session has no more than the code', () => {
    const codes = Object.values(CLOSING_ERRORS).map((error) => error.code);
    expect(new Set(codes).size).toBe(codes.length);
  });
});
