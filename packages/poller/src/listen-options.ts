export interface ListenOptions {
  /** A numeric IPv4 or IPv6 address. `::` listens on IPv4 too. */
  readonly host: string;
  /** 0 lets the kernel choose: see `localAddress`. */
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
