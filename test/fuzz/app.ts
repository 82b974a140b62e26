import { Command } from './frames.ts';
import type { Manners, Transcript } from './stream.ts';

/** What the application needs of a connection, on either side. */
export interface Caller {
  send(data: Buffer, isBinary: boolean): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The application that both servers run: records every message, and does what its first byte says. */
export function receive({ transcript }: Run, caller: Caller, data: Buffer, isBinary: boolean): void {
  transcript.messages.push({ isBinary, data });
  switch (data[0]) {
    case Command.echo:
      caller.send(data, isBinary);
      return;
    case Command.close:
      caller.close(4000 + (data.length % 1000), 'the application closes');
      return;
    case Command.terminate:
      caller.terminate();
      return;
    default:
  }
}

/** The same at the start of a connection. */
export function open({ manners }: Run, caller: Caller): void {
  if (manners.atOpen === 'greet') caller.send(GREETING, false);
  else if (manners.atOpen === 'close') caller.close(1000, 'the application does not stay');
  else if (manners.atOpen === 'terminate') caller.terminate();
}

const GREETING = Buffer.from('welcome');

/** One stream on one side. */
export interface Run {
  readonly transcript: Transcript;
  readonly manners: Manners;
  readonly onClosed: () => void;
}

/** The runs that are under way, by the index of their streams, which is the path that their clients ask for. */
export class Runs {
  readonly #runs = new Map<string, Run>();

  add(index: number, run: Run): void {
    this.#runs.set(`/${index}`, run);
  }

  remove(index: number): void {
    this.#runs.delete(`/${index}`);
  }

  get(path: string): Run | undefined {
    return this.#runs.get(path);
  }

  closed(path: string, code: number, reason: string): void {
    const run = this.#runs.get(path);
    if (run === undefined) return;
    const isFirst = run.transcript.close === undefined;
    run.transcript.close = { code, reason: isFirst ? reason : `called again: ${reason}` };
    if (isFirst) run.onClosed();
  }
}
