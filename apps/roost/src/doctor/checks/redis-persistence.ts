import { redisCommand } from '../fixes.ts';
import { milliseconds } from '../units.ts';
import { notTold, ofServer } from './redis-check.ts';

const NOTABLE_FORK_MS = 100;

const WHY =
  'Roost needs nothing of it on a disk: while Redis forks to save, or waits for fsync(2), it answers nobody, and publications wait.';

export const redisPersistence = ofServer('Redis persistence', ({ redis: { config, info } }) => {
  const fork = info.get('latest_fork_usec');
  if (fork === undefined) return notTold('INFO', 'none', WHY);
  const forkMs = Number(fork) / 1000;
  const delayed = Number(info.get('aof_delayed_fsync') ?? 0);
  const isAppending = info.get('aof_enabled') === '1';
  const saves = (config?.get('save') ?? '') !== '';
  const waits = isAppending && config?.get('appendfsync') === 'always';
  const kinds = [...(saves ? ['snapshots'] : []), ...(isAppending ? ['append-only file'] : [])];
  const stalls = [
    ...(forkMs > NOTABLE_FORK_MS ? [`the last fork took ${milliseconds(forkMs)}`] : []),
    ...(delayed > 0 ? [`${delayed} writes waited for the disk`] : []),
    ...(waits ? ['each write waits for the disk'] : []),
  ];
  return {
    status: stalls.length > 0 ? 'warn' : 'ok',
    found: [kinds.length === 0 ? 'none is seen' : kinds.join(' and '), ...stalls].join('; '),
    needed: 'none, or one that stalls nobody',
    why: WHY,
    fix: [
      redisCommand('CONFIG SET save ""'),
      redisCommand(isAppending ? 'CONFIG SET appendonly no' : 'CONFIG SET appendfsync everysec'),
    ],
  };
});
