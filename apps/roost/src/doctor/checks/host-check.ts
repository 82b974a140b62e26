import type { HostFacts } from '../facts/host-facts.ts';
import type { Check } from '../finding.ts';
import type { Wanted } from '../wanted.ts';

/** What is read from files of the kernel: cheap enough for every start. */
export interface HostSubject {
  readonly wanted: Wanted;
  readonly host: HostFacts;
}

export type HostCheck = Check<HostSubject>;
