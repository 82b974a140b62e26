import { streamPositions } from '@roost/poller';

const positions = new Float64Array(2);

/** How far a stream has come, both ways, modulo 2^32; undefined when the kernel cannot say. */
export function positionsOf(fd: number): readonly [sent: number, received: number] | undefined {
  if (streamPositions(fd, positions) !== 0) return undefined;
  return [(positions[0] ?? 0) >>> 0, (positions[1] ?? 0) >>> 0];
}
