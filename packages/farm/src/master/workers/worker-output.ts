import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Log } from '../../api/log.ts';

/** A line that is longer is cut, so that it need not be kept. */
const MAX_LINE_BYTES = 64 * 1024;
/** For its last words to be read. A process that an app has started may hold the pipes open for good. */
const LAST_WORDS_MS = 1000;
const NEW_LINE = Buffer.from('\n');
const NOTHING = Buffer.alloc(0);

/** How V8 ends a process whose JavaScript heap is full, whatever it was about: `FATAL ERROR: … - JavaScript heap out of memory`. */
const OUT_OF_HEAP = 'JavaScript heap out of memory';
const FATAL = /^FATAL ERROR: .*JavaScript heap out of memory/m;

/**
 * Passes a worker's stdout and stderr to the log. We always read them, whatever happens to our own output, so that no
 * worker waits for the reader of the log, and none ends when there is no reader. `onOutOfHeap` is called when V8 says so.
 */
export function readOutput(
  child: ChildProcess,
  print: NonNullable<Log['print']>,
  onOutOfHeap: () => void,
): void {
  const { stdout, stderr } = child;
  if (stdout !== null) eachLines(stdout, (lines) => print('stdout', lines));
  if (stderr !== null) {
    eachLines(stderr, (lines) => {
      print('stderr', lines);
      if (lines.includes(OUT_OF_HEAP) && FATAL.test(lines.toString('latin1'))) onOutOfHeap();
    });
  }
  child.once('exit', () => {
    setTimeout(() => {
      stdout?.destroy();
      stderr?.destroy();
    }, LAST_WORDS_MS).unref();
  });
}

/** Whole lines, several at a time: those of other workers, and of the log, come between and not within. */
function eachLines(stream: Readable, onLines: (lines: Buffer) => void): void {
  let rest = NOTHING;
  const endLine = (): void => {
    if (rest.length > 0) onLines(Buffer.concat([rest, NEW_LINE]));
    rest = NOTHING;
  };
  stream.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(NEW_LINE) + 1;
    if (end > 0) {
      onLines(Buffer.concat([rest, chunk.subarray(0, end)]));
      rest = NOTHING;
    }
    if (end < chunk.length) rest = Buffer.concat([rest, chunk.subarray(end)]);
    if (rest.length >= MAX_LINE_BYTES) endLine();
  });
  stream.on('error', () => undefined);
  stream.on('close', endLine);
}
