import { native } from './native.ts';

/**
 * How many bytes of a TCP connection this side has given to the kernel, and taken from it, since the connection was accepted:
 * written to `positions[0]` and `positions[1]`. The kernel's own account (TCP_INFO, SIOCOUTQ and SIOCINQ, tcp(7)): bytes
 * acknowledged and waiting to be, bytes received less those that wait to be read. A peer's FIN counts as a byte received; on the
 * side that has connected, SYN counts as one sent. 0 or -errno; -EAGAIN when the stream moved at each of several tries.
 */
export function streamPositions(fd: number, positions: Float64Array): number {
  return native().streamPositions(fd, positions);
}
