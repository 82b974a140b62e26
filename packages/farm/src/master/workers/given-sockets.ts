import { closeDescriptor } from '@roost/poller';
import { HandOff, type AcceptedSocket, type SocketRun } from '../entrance/hand-off.ts';
import { handOffReports } from '../entrance/hand-off-reports.ts';
import { SocketCounts } from '../entrance/socket-counts.ts';
import { Shortage } from './shortage.ts';
import type { SupervisionParts } from './supervision-parts.ts';

export interface GivenSocketsHooks {
  /** It has acknowledged this many, so long after they were sent. */
  acknowledged(count: number, seconds: number): void;
  /** It will not serve these. */
  returned(sockets: readonly AcceptedSocket[]): void;
  /** It has a descriptor again. */
  hasRoom(): void;
}

/** The sockets that one worker is given, and how many it has. */
export class GivenSockets {
  readonly #worker: number;
  readonly #parts: SupervisionParts;
  readonly #hooks: GivenSocketsHooks;
  readonly #shortage: Shortage;
  readonly counts = new SocketCounts();
  #handOff: HandOff | undefined;

  constructor(worker: number, parts: SupervisionParts, hooks: GivenSocketsHooks) {
    this.#worker = worker;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#shortage = new Shortage(worker, parts.guard, parts.log, () => hooks.hasRoom());
  }

  /** Hand-offs that it may be given now. */
  get room(): number {
    return this.#shortage.isOn ? 0 : (this.#handOff?.room ?? 0);
  }

  get unacknowledged(): number {
    return this.#handOff?.unacknowledged ?? 0;
  }

  /** See {@link HandOff.oldestSentAt}. */
  get oldestSentAt(): number | undefined {
    return this.#handOff?.oldestSentAt;
  }

  /** It has a process. `descriptors`: our end of its descriptor pair, which is ours to close. */
  begin(descriptors: number): void {
    const { counters, log, config, guard } = this.#parts;
    const reports = handOffReports(this.#worker, counters, log);
    this.#handOff = new HandOff(descriptors, config.maxUnacknowledgedHandoffs, guard, {
      acknowledged: (count, seconds) => this.#hooks.acknowledged(count, seconds),
      returned: (sockets) => {
        // Truncated: the worker has no descriptors left. It never had these.
        this.counts.takenBack(sockets);
        this.#shortage.begin();
        this.#hooks.returned(sockets);
      },
      refused: reports.refused,
      lost: (sockets, errno) => {
        this.counts.takenBack(sockets);
        reports.lost(sockets, errno);
      },
    });
  }

  /** {@link flush} sends it. */
  give(socket: AcceptedSocket, address?: Uint8Array, addressOffset?: number): void {
    this.counts.given(socket);
    this.#handOff?.add(socket, address, addressOffset);
  }

  /** As {@link give}, for sockets that came together. */
  giveRun(run: SocketRun): void {
    this.counts.givenRun(run.count);
    this.#handOff?.addRun(run);
  }

  /** Takes over one end of the pair of a move, and passes it on. */
  givePair(move: number, end: number): void {
    if (this.#handOff === undefined) closeDescriptor(end);
    else this.#handOff.addPair(move, end);
  }

  flush(): void {
    this.#handOff?.flush();
  }

  readAcknowledgements(): void {
    this.#handOff?.readAcknowledgements();
  }

  /** Its process has been reaped. `had`: connections that have died with it. `returned`: what it never had. */
  end(): { readonly had: number; readonly returned: readonly AcceptedSocket[] } {
    this.#shortage.end();
    const returned = this.#handOff?.end() ?? [];
    const had = this.counts.connections + this.counts.limited - returned.length;
    this.forget();
    this.counts.reset();
    return { had, returned };
  }

  /** In any case it takes none any more. */
  forget(): void {
    this.#handOff = undefined;
  }
}
