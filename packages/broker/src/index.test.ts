import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Every module that a file of this package reaches through imports that exist at run time. */
function reachable(file: URL, seen = new Set<string>()): Set<string> {
  const source = readFileSync(file, 'utf8');
  for (const [statement, target] of source.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)';/gms)) {
    if (/^(?:import|export) type\b/.test(statement) || target === undefined) continue;
    if (!target.startsWith('.')) {
      seen.add(target);
      continue;
    }
    const next = new URL(target, file);
    if (seen.has(next.href)) continue;
    seen.add(next.href);
    reachable(next, seen);
  }
  return seen;
}

describe('the doors of the package', () => {
  it('load ioredis only for who wants Redis: it costs a worker about 15 MB', () => {
    const plain = reachable(new URL('./index.ts', import.meta.url));
    expect([...plain].filter((target) => target.endsWith('memory-broker.ts'))).toHaveLength(1);
    expect(plain).not.toContain('ioredis');
    expect(reachable(new URL('./redis/index.ts', import.meta.url))).toContain('ioredis');
  });
});
