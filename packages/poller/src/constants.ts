/** What a watched row is asked to report. The two may be added; {@link Interest.paused} is used alone. */
export const Interest = {
  /**
   * Reports only the end of the connection, once: {@link PollFlag.peerEnded} when the peer has sent FIN,
   * {@link PollFlag.hangup} on RST. Bytes stay in the kernel.
   *
   * An empty event mask would not do: EPOLLHUP and EPOLLERR cannot be masked (epoll_ctl(2)) and would spin,
   * hence EPOLLRDHUP | EPOLLONESHOT.
   */
  paused: 0,
  readable: 1,
  writable: 2,
} as const;

/** Bits of the third field of an event entry. */
export const PollFlag = {
  /** `length` bytes of this row are in the slab at `offset`. */
  data: 1,
  /**
   * recv(2) returned 0: the peer has sent everything it ever will. Reported once; the row is no longer watched for
   * reading, and a later {@link Poller.setInterest} brings it back.
   */
  end: 2,
  /**
   * The socket failed; the entry's `length` field holds the positive errno. Reported once: nothing more is watched
   * then, until the row is closed or {@link Poller.setInterest} is called. A row that is watched for writing only,
   * as during connect(2), learns of failure by this as well, which takes SO_ERROR.
   */
  error: 4,
  /** send(2) may be tried again. */
  writable: 8,
  /** A paused row's connection was reset. */
  hangup: 16,
  /** A paused row's peer has sent FIN; bytes before it may still be unread. */
  peerEnded: 32,
  /** The entry belongs to {@link Poller.watchDescriptor}: its first field is the id given there, its second 0. */
  descriptor: 64,
  /**
   * A watched descriptor is readable (accept or receive may be tried). Never set for rows. When the other side is
   * gone, a watched descriptor reports `readable` and `writable` at once, again and again: the next call on it returns
   * the reason, and the owner must unwatch it.
   */
  readable: 128,
} as const;

/** Int32 fields of one event entry: `[slot or id, generation, flags, offset, length]`. */
export const EVENT_FIELDS = 5;

/** The most descriptors that one message can carry (SCM_MAX_FD, unix(7)). */
export const MAX_DESCRIPTORS_PER_MESSAGE = 253;

/** Bytes of a peer address as {@link accept} writes it: 16 of IPv6 (IPv4 mapped) and the port, big endian. */
export const ADDRESS_BYTES = 18;

/** Written by {@link Poller.broadcast} for a row whose flags say that it must not be sent to directly. No errno is so large. */
export const BROADCAST_SKIPPED = -100_000;
