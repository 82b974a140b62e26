import type { AdminPort } from '../facts/admin-port.ts';
import type { Probes } from '../facts/probes.ts';
import type { Check } from '../finding.ts';

interface ProbeSubject {
  readonly host: string;
  readonly port: number;
  readonly probes: Probes;
  /** Undefined when it is off. */
  readonly admin: AdminPort | undefined;
  /** Somebody has chosen the admin port, rather than left it to its default. */
  readonly isAdminPortAskedFor: boolean;
}

export type ProbeCheck = Check<ProbeSubject>;
