import { ADDRESS_BYTES } from './constants.ts';
import type { ListenOptions } from './listen-options.ts';
import { native } from './native.ts';

/**
 * A listening TCP socket, non-blocking and close-on-exec, with TCP_NODELAY and the options above, which accepted
 * sockets inherit. Throws a SystemError-like Error with `code` (EADDRINUSE, EACCES, EADDRNOTAVAIL …).
 */
export function listen(options: ListenOptions): number {
  return native().listen({
    host: options.host,
    port: options.port,
    backlog: options.backlog ?? 4096,
    keepAliveSeconds: options.keepAliveSeconds ?? 0,
    userTimeoutMs: options.userTimeoutMs ?? 30_000,
    notSentLowatBytes: options.notSentLowatBytes ?? 16 * 1024,
    sendBufferBytes: options.sendBufferBytes ?? 0,
    deferAcceptSeconds: options.deferAcceptSeconds ?? 0,
    reusePort: options.reusePort ?? false,
  });
}

/** The address and port that a socket is bound to. */
export function localAddress(fd: number): { readonly address: string; readonly port: number } {
  return native().localAddress(fd);
}

/**
 * accept4(2) until nothing waits or the arrays are full. Descriptors are non-blocking and close-on-exec; each peer's
 * address is written as {@link ADDRESS_BYTES} bytes. Errors of single connections (EINTR, ECONNABORTED, EPERM and
 * those of the network, accept(2)) are passed over. Answers how many were accepted, 0 when nothing waits; -errno only
 * when none was (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM: the connection waits and the listener stays readable, so pause
 * it with `Poller.unwatchDescriptor` for a while).
 */
export function accept(listener: number, fds: Int32Array, addresses: Uint8Array): number {
  if (addresses.length < fds.length * ADDRESS_BYTES) {
    throw new TypeError(`accept needs ${ADDRESS_BYTES} address bytes for each of ${fds.length} descriptors`);
  }
  return native().accept(listener, fds, addresses);
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Numeric source address to bind (IP_BIND_ADDRESS_NO_PORT): 64 k ports each. */
  readonly sourceAddress?: string;
  /**
   * Port to bind with it, 0 to 65,535. 0 (default) lets the kernel look for one, which takes it 100 µs and more when
   * half of them are in use. -EADDRINUSE or -EADDRNOTAVAIL when it is taken.
   */
  readonly sourcePort?: number;
}

/**
 * Starts a non-blocking connect(2), with TCP_NODELAY, and answers its descriptor, the caller's, or -errno. It becomes
 * writable when the connection is established; a row that is watched for writing reports PollFlag.error when it failed.
 * Watched with `Poller.watchDescriptor` it becomes writable either way: then ask {@link socketError}.
 */
export function connect(options: ConnectOptions): number {
  return native().connect(options.host, options.port, options.sourceAddress ?? '', options.sourcePort ?? 0);
}

/** SO_ERROR: 0 when all is well, else the positive errno (EBADF, ENOTSOCK too); reading it clears it. */
export function socketError(fd: number): number {
  return native().socketError(fd);
}

/** SIOCOUTQ: bytes that the peer has not acknowledged yet. -errno on failure. */
export function outstandingBytes(fd: number): number {
  return native().outstandingBytes(fd);
}

/** SIOCINQ: bytes that have arrived and wait to be received. -errno on failure. */
export function unreadBytes(fd: number): number {
  return native().unreadBytes(fd);
}

/**
 * The user id (SO_PEERCRED) of the process that is connected to a Unix socket, as it was when it connected; negative when there is
 * none.
 */
export function peerUser(fd: number): number {
  return native().peerUser(fd);
}
