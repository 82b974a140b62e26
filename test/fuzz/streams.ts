import { Clients } from './clients.ts';
import { differences } from './comparison.ts';
import { foretell, type Foretold } from './oracle.ts';
import { RoostSide } from './roost-side.ts';
import type { Side } from './side.ts';
import { generateStream } from './stream-generator.ts';
import { piecesOf, PROFILES, type Stream, type Transcript } from './stream.ts';
import { WsSide } from './ws-side.ts';

/** Much longer than any stream takes, also on a busy machine. */
const DEADLINE_MS = 600_000;
const SWEEP_MS = 1000;

/** A stream on which the two disagree. */
export interface Mismatch {
  readonly stream: Stream;
  readonly foretold: Foretold;
  readonly differences: readonly string[];
  readonly ws: Transcript;
  readonly roost: Transcript;
}

interface Pair {
  readonly ws: Side;
  readonly roost: RoostSide;
}

/** One run that is not over yet. */
interface Pending {
  readonly transcript: Transcript;
  readonly since: number;
  readonly give: () => void;
}

/** A ws server and a worker for each profile, and clients that talk to both. */
export class StreamFuzzer {
  readonly #pairs: readonly Pair[];
  readonly #clients: Clients;
  readonly #pending = new Set<Pending>();
  readonly #sweep: NodeJS.Timeout;

  private constructor(pairs: readonly Pair[], inFlight: number) {
    this.#pairs = pairs;
    this.#clients = new Clients(2 * inFlight);
    this.#sweep = setInterval(() => this.#giveUpOnLate(), SWEEP_MS);
  }

  static async start(inFlight: number): Promise<StreamFuzzer> {
    const pairs: Pair[] = [];
    for (const profile of PROFILES) {
      pairs.push({ ws: await WsSide.start(profile), roost: await RoostSide.start(profile, inFlight + 8) });
    }
    return new StreamFuzzer(pairs, inFlight);
  }

  /** What the workers complained of: a hook that failed, a broken assumption. */
  get complaints(): string[] {
    return this.#pairs.flatMap(({ roost }) => roost.complaints);
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.#clients.stop();
    for (const { ws, roost } of this.#pairs) {
      await ws.stop();
      await roost.stop();
    }
  }

  /** Runs one stream against both servers; undefined when they agree. */
  async check(stream: Stream): Promise<Mismatch | undefined> {
    const pair = this.#pairs[stream.profile];
    if (pair === undefined) throw new RangeError(`no profile ${stream.profile}`);
    const foretold = await foretell(stream);
    const [ws, roost] = await Promise.all([
      this.#run(pair.ws, stream, foretold),
      this.#run(pair.roost, stream, foretold),
    ]);
    const found = differences(foretold, ws, roost);
    return found.length === 0 ? undefined : { stream, foretold, differences: found, ws, roost };
  }

  #run(side: Side, stream: Stream, foretold: Foretold): Promise<Transcript> {
    const transcript: Transcript = {
      messages: [],
      received: Buffer.alloc(0),
      end: 'none',
      close: undefined,
    };
    return new Promise((resolve) => {
      // Both the client and the close hook must have had their say.
      let waitsFor = 2;
      const done = (): void => {
        if (--waitsFor > 0) return;
        this.#pending.delete(pending);
        side.runs.remove(stream.index);
        resolve(transcript);
      };
      const pending: Pending = {
        transcript,
        since: performance.now(),
        give: () => {
          this.#clients.abandon(transcript);
          waitsFor = 1;
          done();
        },
      };
      this.#pending.add(pending);
      side.runs.add(stream.index, { transcript, manners: stream.manners, onClosed: done });
      this.#clients.run({
        port: side.port,
        pieces: piecesOf(stream),
        isKeptAlive: stream.isKeptAlive,
        isLateReader: stream.isLateReader,
        isPatient: stream.isPatient && isEndedByServer(foretold),
        lastPause: stream.lastPause,
        mayEnd: (sentBytes) => stream.offer === '' || side.hasDigested(`/${stream.index}`, sentBytes),
        transcript,
        onDone: () => {
          // Without a 101 there is no close hook to wait for.
          if (!transcript.received.includes(' 101 ')) waitsFor = 1;
          done();
        },
      });
    });
  }

  #giveUpOnLate(): void {
    const latest = performance.now() - DEADLINE_MS;
    for (const pending of this.#pending) if (pending.since < latest) pending.give();
  }
}

/** Whether the server must end the connection without waiting for our FIN. */
function isEndedByServer(foretold: Foretold): boolean {
  const { isConcluded, isTerminated, isFaulty, isClosedByApp, isFaultyEarly } = foretold;
  // While closing, a fault need not be noticed: see the rule "lenient while closing".
  return isTerminated || (isConcluded && !isFaulty) || (isFaulty && !isClosedByApp && !isFaultyEarly);
}

export interface StreamRun {
  readonly seed: number;
  readonly count: number;
  readonly inFlight: number;
  /** Mismatches after which no further streams are begun. */
  readonly maxMismatches: number;
  readonly onProgress?: (done: number) => void;
}

export interface StreamOutcome {
  readonly done: number;
  readonly mismatches: readonly Mismatch[];
  readonly complaints: readonly string[];
}

/** Checks `count` streams, many at a time. */
export async function runStreams(fuzzer: StreamFuzzer, run: StreamRun): Promise<StreamOutcome> {
  const mismatches: Mismatch[] = [];
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    while (next < run.count && mismatches.length < run.maxMismatches) {
      const mismatch = await fuzzer.check(generateStream(run.seed, next++));
      if (mismatch !== undefined) mismatches.push(mismatch);
      done++;
      run.onProgress?.(done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(run.inFlight, run.count) }, lane));
  return { done, mismatches, complaints: fuzzer.complaints };
}
