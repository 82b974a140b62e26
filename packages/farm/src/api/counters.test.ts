import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { addCounts, Counters, COUNTERS } from './counters.ts';

const PAGE = new URL('../../../../docs/reference/counters.md', import.meta.url).pathname;
const PUSHER_COUNTERS = new URL(
  '../../../../apps/roost/src/worker/dialects/pusher/counters.ts',
  import.meta.url,
);

/** Those of the Pusher dialect. The apps are read, not imported: they stand above us. */
const pusherCounters = Array.from(
  readFileSync(PUSHER_COUNTERS, 'utf8').matchAll(/^ {2}(app_[a-z_]+):\s*(['"])(.+)\2,$/gm),
  ([, name = '', , meaning = '']): [string, string] => [name, meaning],
);

/** The text of docs/reference/counters.md. */
function counterReference(): string {
  return `${[
    '# Counters',
    '',
    '<!-- Generated from packages/farm/src/api/counters.ts by "npx vitest run packages/farm/src/api/counters.test.ts -u". -->',
    '',
    "What `info()` of a farm and `POST /api/info` answer under `counters`: sums over the master and its workers since the farm started; workers that have been replaced stay in the sums. They only grow; look at how fast. Counters that begin with `app_` are the application's own (`context.count()`).",
    '',
    ...table(Object.entries(COUNTERS)),
    '',
    '## The Pusher protocol',
    '',
    'Counted where [apps of the Pusher protocol](pusher.md) are configured; each is there from the first time on.',
    '',
    ...table(pusherCounters),
  ].join('\n')}\n`;
}

function table(counters: readonly (readonly [name: string, meaning: string])[]): string[] {
  const width = Math.max(...counters.map(([name]) => name.length + 2));
  const meaningWidth = Math.max(...counters.map(([, meaning]) => meaning.length));
  const row = (name: string, meaning: string): string =>
    `| ${name.padEnd(width)} | ${meaning.padEnd(meaningWidth)} |`;
  return [
    row('counter', 'counts'),
    row('-'.repeat(width), '-'.repeat(meaningWidth)),
    ...counters.map(([name, meaning]) => row(`\`${name}\``, meaning)),
  ];
}

describe('the counters', () => {
  it('are what docs/reference/counters.md lists', async () => {
    await expect(counterReference()).toMatchFileSnapshot(PAGE);
  });

  it('have names in snake case, and meanings that are sentences', () => {
    expect(pusherCounters.length).toBeGreaterThan(10);
    for (const [name, meaning] of [...Object.entries(COUNTERS), ...pusherCounters]) {
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
