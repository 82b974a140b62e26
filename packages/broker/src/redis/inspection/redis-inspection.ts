import type { RedisRole } from '../connection/role.ts';

/** Something that the broker does, tried in a way that nobody notices. */
export interface TriedRight {
  /** As a rule of an ACL gives it: `+publish`, `&roost:*`. */
  readonly rule: string;
  /** What it is for, in words that can follow "for". */
  readonly use: string;
  /**
   * `necessary`: without it the broker does not work. `useful`: it works, with less. `store`: presence, counts, last and
   * recorded events need it. `events`: who consumes recorded events does, besides.
   */
  readonly need: 'necessary' | 'useful' | 'store' | 'events';
  /** What Redis answered; empty where it did what was asked. */
  readonly refusal: string;
}

/** What was seen of a Redis that a farm is to use. */
export interface RedisInspection {
  /** Of the server that answered, without credentials. */
  readonly shownUrl: string;
  /** Why it cannot be used at all, in one sentence: it cannot be reached, or refuses the credentials. Empty when it can. */
  readonly problem: string;
  readonly role: RedisRole;
  /** `none`: the URL has none, and nothing was asked for. `not wanted`: anybody gets in, although the URL has one. */
  readonly password: 'none' | 'taken' | 'not wanted';
  /** The lines of INFO by their names, such as `redis_version`; empty where it is denied. */
  readonly info: ReadonlyMap<string, string>;
  /** Settings by CONFIG GET, such as `maxmemory-policy`; undefined where that is denied. */
  readonly config: ReadonlyMap<string, string> | undefined;
  readonly rights: readonly TriedRight[];
  /** How long it took until a PING was answered, in ms, ascending. */
  readonly pingMs: readonly number[];
}
