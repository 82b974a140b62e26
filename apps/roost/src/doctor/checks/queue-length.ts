const LEAST = 512;
const MOST = 16_384;

/**
 * How many clients must be able to wait when all come at once, after a restart: a farm accepts some ten thousand a second,
 * and a pause of the master of some tenths of a second must not make the kernel drop a SYN. infra/sysctl.conf has the
 * same number for a million.
 */
export function queueLength(connections: number): number {
  return Math.min(MOST, Math.max(LEAST, 2 ** Math.ceil(Math.log2(connections / 64))));
}
