import type { RedisInspection } from '@roost/farm/checks';
import type { Check, Finding } from '../finding.ts';

export interface RedisSubject {
  readonly redis: RedisInspection;
  /** Whom the URL names; `default` where it names nobody. */
  readonly user: string;
  readonly workers: number;
  /** Webhooks are configured, for which events are recorded. */
  readonly recordsEvents: boolean;
}

export type RedisCheck = Check<RedisSubject>;

/** A check of what is known only of a Redis that answers as a master, or may be one. */
export function ofServer(name: string, judge: RedisCheck['judge']): RedisCheck {
  return {
    name,
    judge: (subject) =>
      subject.redis.problem === '' && subject.redis.role !== 'sentinel' ? judge(subject) : undefined,
  };
}

/** Redis does not let this user know. */
export function notTold(what: string, needed: string, why: string): Finding {
  return { status: 'skip', found: `${what} is denied`, needed, why, fix: [] };
}
