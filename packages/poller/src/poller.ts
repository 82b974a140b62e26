import { markAsUntransferable } from 'node:worker_threads';
import { ADDRESS_BYTES, EVENT_FIELDS } from './constants.ts';
import { native, type NativePoller } from './native.ts';

/**
 * The columns of the caller's connection table that the addon reads, one element a slot, all of one length.
 * The addon keeps references to their memory: they must never be detached or resized. Transferring one copies it instead.
 */
export interface PollerColumns {
  /** The descriptor of each slot; -1 when it has none. Written by the caller; {@link Poller.close} sets -1. */
  readonly fds: Int32Array;
  /** Changes every time a slot is given to another connection. An event of an older one is never reported. */
  readonly generations: Int32Array;
  /** Read by {@link Poller.broadcast} only. */
  readonly flags: Uint16Array;
}

export interface PollerOptions {
  readonly columns: PollerColumns;
  /**
   * Called once a wake-up with the number of entries in {@link Poller.events}; microtasks and process.nextTick run
   * before the next one. What it throws becomes an 'uncaughtException', and the rest of its batch is lost.
   */
  readonly onEvents: (count: number) => void;
  /** Bytes received per wake-up, all rows together. Default 65,536; 4,096 to 16 Mi. */
  readonly slabBytes?: number;
  /**
   * Bytes received per row and wake-up while other rows wait. Default 4,096; 1 to slabBytes. When few rows are ready
   * they share the slab equally, so that one which is busy alone gets all of it.
   */
  readonly rowBytes?: number;
  /** Descriptors asked of one epoll_wait(2), and entries of a batch. Default 1,024; 2 to 65,536. */
  readonly maxEvents?: number;
  /** {@link Poller.broadcast} sends to a row when `(flags & sendableMask) === sendableValue`. Default 0 and 0: to all. */
  readonly sendableMask?: number;
  readonly sendableValue?: number;
}

/**
 * One epoll set, seen by Node's event loop through a single uv_poll_t.
 *
 * A wake-up calls epoll_wait(2) once, recv(2) once for each ready row into the shared {@link slab}, and then
 * {@link PollerOptions.onEvents} once. It is bounded in bytes as well as in rows; ready rows that did not fit are
 * kept and served first by the next wake-up, with half of the slab. The other half is for rows that send little: they
 * need not wait until every busy row had its turn. A row has at most one entry with data in a batch, and perhaps one
 * before it that says that it is writable. Entries stay valid until `onEvents` returns.
 *
 * The caller owns the descriptors in its columns: the poller closes only what it is told to close. Several pollers,
 * also in several threads, do not know of each other. While it is open a poller keeps the process alive.
 *
 * Calls that name a slot use the descriptor and generation that its columns hold at that moment. A watched row whose
 * generation is changed reports nothing more, but still wakes the loop: unwatch or close it first. Calls that can fail
 * for reasons of the outside world answer with -errno (see `os.constants.errno`); wrong arguments throw a TypeError,
 * and every call but destroy() throws an Error with the code POLLER_DESTROYED after destroy().
 */
export class Poller {
  /** Received bytes, overwritten by every wake-up. */
  readonly slab: Buffer;
  /** Entries of {@link EVENT_FIELDS} fields each; see PollFlag. Reused by every wake-up. */
  readonly events: Int32Array;
  readonly #native: NativePoller;

  constructor(options: PollerOptions) {
    const { columns, slabBytes = 64 * 1024, rowBytes = 4096, maxEvents = 1024 } = options;
    this.slab = Buffer.allocUnsafeSlow(slabBytes);
    this.events = new Int32Array(maxEvents * EVENT_FIELDS);
    // The addon writes to this memory: postMessage() and structuredClone() must copy it rather than take it away.
    for (const view of [columns.fds, columns.generations, columns.flags, this.slab, this.events]) {
      markAsUntransferable(view.buffer);
    }
    this.#native = native().createPoller(
      columns.fds,
      columns.generations,
      columns.flags,
      this.slab,
      this.events,
      rowBytes,
      options.sendableMask ?? 0,
      options.sendableValue ?? 0,
      options.onEvents,
    );
  }

  /** Adds a row to the set. `interest` as in Interest. 0 or -errno (-EEXIST: it is watched already). */
  watch(slot: number, interest: number): number {
    return this.#native.watch(slot, interest);
  }

  /**
   * Takes over `count` rows, the first elements of `slots`, whose first bytes may have come already, and calls recv(2)
   * once for each, as far as the slab goes: a connection whose request is here needs no turn of the epoll set for it.
   * Answers the number of entries in {@link events}, as `onEvents` does, and overwrites those of the batch: call it behind
   * the last of them. The rows are not in the set until {@link watchNew}, or setInterest.
   */
  receiveNew(slots: Int32Array, count: number): number {
    return this.#native.receiveNew(slots, count);
  }

  /**
   * Adds those of the rows to the set, for reading, that {@link receiveNew} took over and that were not closed, unwatched
   * or told another interest since. Answers how many could not be added (0 when all is well): `watch` tells why.
   */
  watchNew(slots: Int32Array, count: number): number {
    return this.#native.watchNew(slots, count);
  }

  /**
   * Changes what a watched row reports; with Interest.paused it pauses, and any other resumes, also after an end or an
   * error was reported. 0 or -errno (-ENOENT: it is not watched).
   */
  setInterest(slot: number, interest: number): number {
    return this.#native.setInterest(slot, interest);
  }

  /** Takes a row out of the set and forgets what was pending for it. The descriptor stays open. 0 or -errno. */
  unwatch(slot: number): number {
    return this.#native.unwatch(slot);
  }

  /** One send(2) of `length` bytes of `bytes` from `offset`. Bytes taken by the kernel (0 when it is full), or -errno. */
  send(slot: number, bytes: Uint8Array, offset: number, length: number): number {
    return this.#native.send(slot, bytes, offset, length);
  }

  /**
   * Sends one frame to the rows of `slots[from … to)`, one send(2) each, until done, until `budgetMicros` have passed
   * (the clock is read every 32 sends, so that many are always sent) or until `results`, which needs 4 elements, is
   * full. Negative elements are holes and are passed over. A row that has one of the bits of `alternateMask` in its flags
   * is sent `alternate` instead: another form of the same message, so that one walk serves rows of both kinds. Without
   * the two all are sent `frame`.
   *
   * `results[0]` becomes the number of exceptions, `results[1]` the number of whole sends; each exception is a pair
   * from `results[2]` on: the slot, and what happened: bytes sent when fewer than its frame (0: the kernel was full),
   * -errno (-EBADF: no descriptor, or no such slot), or BROADCAST_SKIPPED. Answers the index at which to go on: `to`
   * when done.
   */
  broadcast(
    slots: Int32Array,
    from: number,
    to: number,
    frame: Uint8Array,
    budgetMicros: number,
    results: Int32Array,
    alternate: Uint8Array = frame,
    alternateMask = 0,
  ): number {
    return this.#native.broadcast(slots, from, to, frame, budgetMicros, results, alternate, alternateMask);
  }

  /** Ends a row for good: EPOLL_CTL_DEL, shutdown(SHUT_RDWR), close(2), `fds[slot] = -1`. See {@link closeDescriptor}. */
  close(slot: number): void {
    this.#native.close(slot);
  }

  /** Sends FIN and keeps reading: shutdown(SHUT_WR). 0 or -errno. */
  shutdownWrite(slot: number): number {
    return this.#native.shutdownWrite(slot);
  }

  /**
   * Watches a listener or a descriptor channel; entries carry `id` (any int32) and PollFlag.descriptor. For one that is
   * watched already it changes id and interest, which is not 0. 0 or -errno.
   */
  watchDescriptor(fd: number, id: number, interest: number): number {
    return this.#native.watchDescriptor(fd, id, interest);
  }

  /** Stops watching; also how a listener is paused (EPOLL_CTL_DEL). The descriptor stays open. 0 or -errno. */
  unwatchDescriptor(fd: number): number {
    return this.#native.unwatchDescriptor(fd);
  }

  /** Ends the poller itself. The rows' descriptors stay open and are the caller's. Calling it twice is safe. */
  destroy(): void {
    this.#native.destroy();
  }
}

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
 * it with {@link Poller.unwatchDescriptor} for a while).
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
 * Watched with {@link Poller.watchDescriptor} it becomes writable either way: then ask {@link socketError}.
 */
export function connect(options: ConnectOptions): number {
  return native().connect(options.host, options.port, options.sourceAddress ?? '', options.sourcePort ?? 0);
}

/** SO_ERROR: 0 when all is well, else the positive errno (EBADF, ENOTSOCK too); reading it clears it. */
export function socketError(fd: number): number {
  return native().socketError(fd);
}

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

/** What {@link receiveDescriptors} answers. */
export interface ReceivedRecord {
  /** Bytes of the record; 0 when the other side is gone; -errno (-EAGAIN: nothing there). */
  bytes: number;
  /** Descriptors that arrived, close-on-exec, now the caller's. */
  count: number;
  /**
   * MSG_CTRUNC or MSG_TRUNC: descriptors beyond `count` were closed by the kernel (this process is at its limit, or
   * `fds` is too short), or bytes beyond `bytes` were dropped (`record` is too short).
   */
  truncated: boolean;
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

/** shutdown(SHUT_RDWR) and close(2): ends the connection whoever else holds a copy of the descriptor. */
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

/** Pins the calling thread, and only it, to one CPU. 0, or -errno (-EINVAL: the CPU is not allowed to us). */
export function pinThread(cpu: number): number {
  return native().pinThread(cpu);
}

/**
 * Gives the pages of freed memory back to the system (malloc_trim(3)): small pieces that are freed in the middle of the
 * heap would keep theirs. True when there were any. Takes about a millisecond for 10 MB. Without glibc it does nothing.
 */
export function trimMemory(): boolean {
  return native().trimMemory() === 1;
}

/**
 * Takes the pages of programs and libraries out of this process (madvise(2), MADV_DONTNEED): those of files whose mappings
 * are read-only and unchanged. Most of what Node maps only its start needs. The kernel keeps them in its page cache as
 * long as it has the memory; touching one again costs a minor fault. Answers how many kilobytes, or -errno. Takes 3 to 10 ms,
 * most of it to read smaps (proc(5)).
 */
export function releaseFilePages(): number {
  return native().releaseFilePages();
}

/**
 * PR_SET_PDEATHSIG: the kernel sends `signal` to this process when its parent dies, even while its loop is blocked; 0
 * turns it off. The parent is the thread that started us. One that is dead already sends nothing: compare
 * `process.ppid` afterwards. 0 or -errno.
 */
export function signalOnParentDeath(signal: number): number {
  return native().signalOnParentDeath(signal);
}

/** SIOCOUTQ: bytes that the peer has not acknowledged yet. -errno on failure. */
export function outstandingBytes(fd: number): number {
  return native().outstandingBytes(fd);
}

/** SIOCINQ: bytes that have arrived and wait to be received. -errno on failure. */
export function unreadBytes(fd: number): number {
  return native().unreadBytes(fd);
}
