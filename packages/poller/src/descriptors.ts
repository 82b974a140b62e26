import { native, type ReceivedRecord } from './native.ts';

/** A pair of SOCK_SEQPACKET descriptors (record boundaries are kept), non-blocking and close-on-exec. Throws a system error. */
export function descriptorPair(): [number, number] {
  return native().descriptorPair();
}

/**
 * Sends one record, at least 1 byte, with the first `count` of `fds` attached (0 to MAX_DESCRIPTORS_PER_MESSAGE). The
 * sender's copies stay open and remain the sender's. 0, or -errno: -EAGAIN and -ETOOMANYREFS mean wait.
 */
export function sendDescriptors(channel: number, fds: Int32Array, count: number, record: Uint8Array): number {
  return native().sendDescriptors(channel, fds, count, record);
}

/** Receives one record into `record` and its descriptors into `fds`; fills and returns `result`, which may be reused. */
export function receiveDescriptors(
  channel: number,
  fds: Int32Array,
  record: Uint8Array,
  result: ReceivedRecord,
): ReceivedRecord {
  return native().receiveDescriptors(channel, fds, record, result);
}

/** Closes a descriptor that is in no epoll set of ours: plain close(2), so that other copies live on. */
export function closeDescriptor(fd: number): void {
  native().closeDescriptor(fd);
}

/** {@link closeDescriptor} for each of the first `count` of `fds`, in one native call. */
export function closeDescriptors(fds: Int32Array, count: number): void {
  native().closeDescriptors(fds, count);
}

/** shutdown(SHUT_RDWR) and close(2): ends the connection even if other copies of the descriptor exist. */
export function terminateDescriptor(fd: number): void {
  native().terminateDescriptor(fd);
}

/**
 * close(2) with SO_LINGER of 0: the peer gets RST, and the kernel keeps no state of a connection that was never served.
 * Only for a descriptor of which there is no other copy.
 */
export function resetDescriptor(fd: number): void {
  native().resetDescriptor(fd);
}

/** fcntl(F_DUPFD_CLOEXEC): another descriptor of the same socket. -errno on failure. */
export function duplicateDescriptor(fd: number): number {
  return native().duplicateDescriptor(fd);
}

/** Sets FD_CLOEXEC, which descriptors inherited through spawn() lack. 0 or -errno. */
export function setCloseOnExec(fd: number): number {
  return native().setCloseOnExec(fd);
}
