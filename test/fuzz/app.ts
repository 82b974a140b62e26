import { Command } from './frames.ts';
import type { Transcript } from './stream.ts';

/** What the application needs of a connection, on either side. */
export interface Caller {
  send(data: Buffer, isBinary: boolean): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The application that both servers run: records every message, and does what its first byte says. */
export function receive(transcript: Transcript, caller: Caller, data: Buffer, isBinary: boolean): void {
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

/** The runs that are under way, by the index of their streams, which is the path that their clients ask for. */
export class Runs {
  readonly #transcripts = new Map<string, { transcript: Transcript; onClosed: () => void }>();

  add(index: number, transcript: Transcript, onClosed: () => void): void {
    this.#transcripts.set(`/${index}`, { transcript, onClosed });
  }

  remove(index: number): void {
    this.#transcripts.delete(`/${index}`);
  }

  transcript(path: string): Transcript | undefined {
    return this.#transcripts.get(path)?.transcript;
  }

  closed(path: string, code: number, reason: string): void {
    const run = this.#transcripts.get(path);
    if (run === undefined) return;
    run.transcript.close = { code, reason };
    run.onClosed();
  }
}
