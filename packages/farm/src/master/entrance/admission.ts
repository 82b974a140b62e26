import { leastConnections, type WorkerLoad } from './placement.ts';

export interface AdmissionLimits {
  readonly maxConnections: number;
  readonly reservedConnections: number;
}

/** `isReserved`: beyond the limits, to serve a health check or to be refused with 503. */
export interface Admitted {
  readonly worker: number;
  readonly isReserved: boolean;
}

/**
 * May one more socket enter, and where? Undefined: not now; it waits in the kernel's listen queue. Pure, and decided
 * before the socket is accepted: what the master has accepted it can also hand off.
 */
export function admit(loads: readonly WorkerLoad[], limits: AdmissionLimits): Admitted | undefined {
  let connections = 0;
  let limited = 0;
  for (const load of loads) {
    connections += load.connections;
    limited += load.limited;
  }
  if (connections < limits.maxConnections) {
    const worker = leastConnections(loads, 0);
    if (worker !== -1) return { worker, isReserved: false };
    // Not full, only busy with hand-offs: no socket is refused for that.
    if (loads.some((load) => load.connections < load.capacity)) return undefined;
  }
  const worker = leastConnections(loads, limits.reservedConnections);
  const reserve = limits.maxConnections + limits.reservedConnections * loads.length - limited;
  return worker === -1 || connections >= reserve ? undefined : { worker, isReserved: true };
}
