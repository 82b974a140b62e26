import { ClientState } from '../clients/client-table.ts';
import { type ClientEvents, Clients } from '../clients/clients.ts';
import { Opener } from '../clients/opener.ts';
import { LoadError } from '../errors.ts';
import { MessageTemplate } from '../message-template.ts';
import { Latencies } from '../report/latencies.ts';
import type { Progress, Report } from '../report/report.ts';
import { type EchoFindings, type EchoPlan, EchoRun } from './echo-run.ts';
import {
  assertNever,
  type Command,
  type ProcessMessage,
  type ProcessOptions,
  type Question,
} from './process-messages.ts';
import { PublicationWatch, type WatchFindings } from './publication-watch.ts';
import { Tally } from './tally.ts';

const PROGRESS_INTERVAL_MS = 200;
/** Progress reports between two that tell latencies. */
const INTERVAL_REPORTS = 5;

/** The connections of one process, and the commands that concern them. */
class LoadProcess implements ClientEvents {
  readonly #clients: Clients;
  readonly #tally: Tally;
  readonly #opener: Opener;
  readonly #template: MessageTemplate;
  readonly #onProgress: (progress: Progress) => void;
  readonly #ticker: NodeJS.Timeout;
  /** Latencies since they were told last. */
  readonly #interval = new Latencies();
  #echo: EchoRun | undefined;
  #watch: PublicationWatch | undefined;
  #reports = 0;
  #wasSatisfied = false;
  #openCount = 0;
  #onAllGone: (() => void) | undefined;
  #lastProgress = '';

  constructor(options: ProcessOptions, onProgress: (progress: Progress) => void) {
    this.#clients = new Clients({ ...options, events: this });
    this.#tally = new Tally(this.#clients.table);
    this.#opener = new Opener(this.#clients);
    this.#template = new MessageTemplate(options.messageTemplate);
    this.#onProgress = onProgress;
    this.#ticker = setInterval(() => this.#tellProgress(), PROGRESS_INTERVAL_MS);
  }

  opened(slot: number): void {
    this.#openCount++;
    this.#tally.opened(slot);
    this.#opener.opened(slot);
  }

  failed(_slot: number, reason: string): void {
    this.#tally.fail(reason);
    this.#opener.failed();
  }

  message(slot: number, bytes: Buffer, start: number, length: number): void {
    const prefixBytes = this.#template.prefix.length;
    if (!this.#template.isWrapped(bytes, start, length)) {
      this.#tally.other();
      return;
    }
    this.#tally.message(slot);
    this.#echo?.message(slot, bytes, start, length);
    // It would find a publication anywhere, but at a price.
    this.#watch?.message(slot, bytes, start + prefixBytes, length - prefixBytes);
  }

  closing(slot: number, code: string | null): void {
    this.#tally.closing(slot, code);
    this.#echo?.closing(slot);
  }

  gone(slot: number, endedInTime: boolean): void {
    this.#openCount--;
    this.#tally.gone(slot, endedInTime);
    this.#opener.gone(slot);
  }

  batchEnded(): void {
    this.#opener.pump();
    if (this.#openCount === 0) this.#onAllGone?.();
    // Who waits for messages hears of the last one at once.
    if (this.#tally.isSatisfied !== this.#wasSatisfied) this.#tellProgress();
  }

  /** What the watch has seen, if there is one. */
  watchFindings(): WatchFindings | undefined {
    return this.#watch?.findings();
  }

  report(): Report {
    return this.#tally.report(this.#opener.pending);
  }

  /** Does what a command asks, and resolves when it is done. */
  async obey(command: Exclude<Command, { type: 'start' }>): Promise<EchoFindings | undefined> {
    switch (command.type) {
      case 'open':
        await this.#opener.run(command.plan);
        return undefined;
      case 'cancel':
        this.#opener.cancel();
        return undefined;
      case 'echo':
        return await this.#runEcho(command.plan);
      case 'watch':
        this.#watch = new PublicationWatch(this.#clients.table, this.#interval);
        return undefined;
      case 'pause':
        this.#pause(command.count);
        return undefined;
      case 'expect':
        this.#tally.expect(command.messages);
        this.#wasSatisfied = false;
        this.#tellProgress();
        return undefined;
      case 'reset':
        this.#tally.reset();
        return undefined;
      case 'close':
        await this.#closeAll();
        return undefined;
      case 'report':
        return undefined;
      default:
        return assertNever(command);
    }
  }

  destroy(): void {
    clearInterval(this.#ticker);
    this.#clients.destroy();
  }

  async #runEcho(plan: EchoPlan): Promise<EchoFindings> {
    const echo = new EchoRun(this.#clients, plan, { template: this.#template, interval: this.#interval });
    this.#echo = echo;
    try {
      return await echo.run();
    } finally {
      this.#echo = undefined;
    }
  }

  #pause(count: number): void {
    const { capacity, states } = this.#clients.table;
    for (let slot = 0, paused = 0; slot < capacity && paused < count; slot++) {
      if (states[slot] !== ClientState.open) continue;
      this.#clients.pause(slot);
      paused++;
    }
  }

  async #closeAll(): Promise<void> {
    this.#opener.cancel();
    if (this.#openCount === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAllGone = resolve;
      this.#clients.closeAll();
    });
    this.#onAllGone = undefined;
  }

  #tellProgress(): void {
    const progress = {
      ...this.#tally.progress(this.#opener.pending),
      deliveries: this.#watch?.deliveries ?? 0,
    };
    this.#wasSatisfied = progress.isSatisfied;
    const tellsLatencies = ++this.#reports % INTERVAL_REPORTS === 0 && this.#interval.count > 0;
    const text = JSON.stringify(progress);
    if (text === this.#lastProgress && !tellsLatencies) return;
    this.#lastProgress = text;
    this.#onProgress(tellsLatencies ? { ...progress, interval: this.#interval.encode() } : progress);
    if (tellsLatencies) this.#interval.reset();
  }
}

function say(message: ProcessMessage): void {
  if (process.connected) process.send?.(message);
}

/**
 * The whole life of a load process: obeys the coordinator's questions until the channel ends. Ctrl-C reaches the whole
 * process group, so signals are left to the coordinator.
 */
export function serveCoordinator(): void {
  let load: LoadProcess | undefined;
  const answer = async ({ id, command }: Question) => {
    try {
      let echo: EchoFindings | undefined;
      if (command.type === 'start') {
        load = new LoadProcess(command.options, (progress) => say({ type: 'progress', progress }));
      } else if (load === undefined) {
        throw new LoadError(
          'LOAD_ERR_PROCESS',
          `a load process was asked to ${command.type} before its start.`,
        );
      } else {
        echo = await load.obey(command);
      }
      const watch = load.watchFindings();
      say({
        type: 'answer',
        id,
        report: load.report(),
        ...(echo === undefined ? {} : { echo }),
        ...(watch === undefined ? {} : { watch }),
      });
    } catch (error) {
      say({ type: 'failure', id, message: error instanceof Error ? error.message : String(error) });
    }
  };
  // Both ends of the channel are this program: its messages are trusted to have their type.
  process.on('message', (message: Question) => void answer(message));
  process.on('disconnect', () => {
    load?.destroy();
    process.exit();
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
}
