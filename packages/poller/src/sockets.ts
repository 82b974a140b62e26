import { ADDRESS_BYTES } from './constants.ts';
import { native } from './native.ts';

export interface ListenOptions {
  /** A numeric IPv4 or IPv6 address. `::` listens on IPv4 too. */
  readonly host: string;
  /** 0 lets the kernel choose: see {@link localAddress}. */
  readonly port: number;
  /** Length of the kernel's accept queue, which somaxconn cuts. Default 4,096. */
  readonly backlog?: number;
  /**
   * Seconds of silence before TCP keepalive probes, three of them, 10 seconds apart; 0 turns them off. Default 0. With a
   * {@link userTimeoutMs} of less than all of that the kernel ends a connection when a single probe is lost
   * (tcp_keepalive_timer() in Linux's net/ipv4/tcp_timer.c).
   */
  readonly keepAliveSeconds?: number;
  /** TCP_USER_TIMEOUT: milliseconds that sent bytes may stay unacknowledged. 0 leaves the system's. Default 30,000. */
  readonly userTimeoutMs?: number;
  /** TCP_NOTSENT_LOWAT: unsent bytes the kernel takes for a stuck reader. 0 leaves the system's. Default 16,384. */
  readonly notSentLowatBytes?: number;
  /**
   * SO_SNDBUF: the kernel allows twice as much, its own overhead included, and cuts it to net.core.wmem_max. 0 (default)
   * lets the kernel tune it, up to net.ipv4.tcp_wmem.
   */
  readonly sendBufferBytes?: number;
  /** TCP_DEFER_ACCEPT: seconds the kernel keeps a connection that has sent nothing. 0 (default) turns it off. */
  readonly deferAcceptSeconds?: number;
  /** SO_REUSEPORT. Default false. */
  readonly reusePort?: boolean;
}

/**
 * A listening TCP socket, non-blocking and close-on-exec, with TCP_NODELAY and the options above, which accepted
 * sockets inherit. Throws a SystemError-like Error with `code` (EADDRINUSE, EACCES, EADDRNOTAVAIL …).
 */
export function listen(options: ListenOptions): number {
  return native().listen(
    options.host,
    options.port,
    options.backlog ?? 4096,
    options.keepAliveSeconds ?? 0,
    options.userTimeoutMs ?? 30_000,
    options.notSentLowatBytes ?? 16 * 1024,
    options.sendBufferBytes ?? 0,
    options.deferAcceptSeconds ?? 0,
    options.reusePort ?? false,
  );
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
 * writable when the connection stands; a row that is watched for writing reports PollFlag.error when it failed.
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
