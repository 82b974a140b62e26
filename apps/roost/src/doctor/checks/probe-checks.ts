import { adminListening } from './admin-listening.ts';
import { listening } from './listening.ts';
import { nodeVersion } from './node-version.ts';
import { poller } from './poller.ts';
import type { ProbeCheck } from './probe-check.ts';

export const PROBE_CHECKS: readonly ProbeCheck[] = [nodeVersion, poller, listening, adminListening];
