import { describe, expect, it } from 'vitest';
import { addCounts, Counters, COUNTERS } from './counters.ts';

const PAGE = new URL('../../../../docs/reference/counters.md', import.meta.url).pathname;

/** The text of docs/reference/counters.md. */
function counterReference(): string {
  const width = Math.max(...Object.keys(COUNTERS).map((name) => name.length + 2));
  const meaningWidth = Math.max(...Object.values(COUNTERS).map((meaning) => meaning.length));
  const row = (name: string, meaning: string): string =>
    `| ${name.padEnd(width)} | ${meaning.padEnd(meaningWidth)} |`;
  return `${[
    '# Counters',
    '',
    '<!-- Generated from packages/farm/src/api/counters.ts by "npx vitest run packages/farm/src/api/counters.test.ts -u". -->',
    '',
    "What `info()` of a farm and `POST /api/info` answer under `counters`: sums over the master and its workers since the farm started; workers that have been replaced stay in the sums. They only grow; look at how fast. Counters that begin with `app_` are the application's own (`context.count()`).",
    '',
    row('counter', 'counts'),
    row('-'.repeat(width), '-'.repeat(meaningWidth)),
    ...Object.entries(COUNTERS).map(([name, meaning]) => row(`\`${name}\``, meaning)),
  ].join('\n')}\n`;
}

describe('the counters', () => {
  it('are what docs/reference/counters.md lists', async () => {
    await expect(counterReference()).toMatchFileSnapshot(PAGE);
  });

  it('have names in snake case, and meanings that are sentences', () => {
    for (const [name, meaning] of Object.entries(COUNTERS)) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(meaning, name).toMatch(/^([A-Z]|accept\(2\)).*\.$/);
    }
  });

  it('begin at 0, so that each is there before it counts anything', () => {
    expect(Object.keys(new Counters().snapshot())).toEqual(Object.keys(COUNTERS));
    expect(new Counters().get('upgrades')).toBe(0);
  });

  it('count, also what applications declare', () => {
    const counters = new Counters();
    counters.add('upgrades');
    counters.add('deliveries', 7);
    counters.add('app_orders');
    counters.add('app_orders');
    expect(counters.snapshot()).toMatchObject({ upgrades: 1, deliveries: 7, app_orders: 2, closed: 0 });
  });

  it('are summed name by name', () => {
    const sums = { upgrades: 1, closed: 2 };
    addCounts(sums, { upgrades: 3, app_orders: 4 });
    expect(sums).toEqual({ upgrades: 4, closed: 2, app_orders: 4 });
  });
});
