import type { WorkerLife } from '../workers/worker-life.ts';

/** Names of apps that one life has connections of and another has not. Where it does not say how many, it may have some. */
export async function missingApps(
  from: Pick<WorkerLife, 'apps' | 'ask'>,
  to: Pick<WorkerLife, 'apps'>,
): Promise<string[]> {
  const there = new Set(to.apps.map(({ name }) => name));
  const missing = from.apps.map(({ name }) => name).filter((name) => !there.has(name));
  if (missing.length === 0) return [];
  const answer = await from.ask({ question: 'metrics' });
  if (answer?.kind !== 'metrics') return missing;
  return missing.filter((name) => (answer.measured.connections[name] ?? 0) > 0);
}
