import { connect } from 'node:net';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { controlPaths, type ControlPlace } from './control-path.ts';
import { Lines } from './lines.ts';
import type { ControlAnswer, ControlCommand } from './messages.ts';
import { outcomeInWords, progressInWords, statusInWords } from './words.ts';

/** Progress is printed for people once in this time. */
const PRINT_MS = 1000;
/** Ctrl-C: the command ends, and what it has begun goes on. */
const INTERRUPTED = Symbol('interrupted');
const ANSWERS = ['progress', 'done', 'stopped', 'lost', 'refused', 'status'];
const MAX_ANSWER_CHARACTERS = 16 * 1024 * 1024;

export interface ControlClient {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Prints each answer as a line of JSON. */
  readonly isJson: boolean;
  readonly print: (text: string) => void;
  readonly printError: (text: string) => void;
}

/** Has a running farm do something, prints how far it is, and answers with the exit code. */
export async function runCommand(
  place: ControlPlace,
  command: ControlCommand,
  client: ControlClient,
): Promise<ExitCode> {
  const paths = controlPaths(place, client.environment);
  if (paths.length === 0) {
    client.printError(
      'With port 0, or controlSocket off, there is no control socket to be found: name it with --control-socket.\n',
    );
    return EXIT_CODES.misconfigured.code;
  }
  const problems: string[] = [];
  for (const path of paths) {
    const answer = await asked(path, command, (progress) => client.print(progress), client.isJson);
    if (answer === INTERRUPTED) {
      client.printError('The farm goes on with it: "roost status" shows how far it is.\n');
      return EXIT_CODES.forced.code;
    }
    if (typeof answer === 'string') problems.push(`${path} (${answer})`);
    else return ended(answer, client);
  }
  return ended(
    own(
      `No farm answers at ${problems.join(', ')}. Is it running, as this user? Say which it is with --port or --control-socket.`,
      'CONTROL_ERR_NO_FARM',
      client,
    ),
    client,
  );
}

/** What the farm cannot say itself, which programs get as JSON, too. */
function own(
  refused: string,
  code: string,
  { isJson, print }: Pick<ControlClient, 'isJson' | 'print'>,
): ControlAnswer {
  const answer: ControlAnswer = { refused, code };
  if (isJson) print(`${JSON.stringify(answer)}\n`);
  return answer;
}

/** The last answer; or, when there is no farm, why; or that somebody does not want to wait for it. */
function asked(
  path: string,
  command: ControlCommand,
  print: (text: string) => void,
  isJson: boolean,
): Promise<ControlAnswer | typeof INTERRUPTED | string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const onInterrupt = (): void => {
      resolve(INTERRUPTED);
      socket.destroy();
    };
    // Without a change there is nothing to go on with.
    if (command.command !== 'status') process.once('SIGINT', onInterrupt);
    let last: ControlAnswer | undefined;
    let problem = 'it hung up';
    let printedAt = Number.NEGATIVE_INFINITY;
    const lines = new Lines(
      MAX_ANSWER_CHARACTERS,
      (line) => {
        if (socket.destroyed) return;
        const answer = answerOf(line);
        last = answer;
        if (answer === undefined) {
          problem = 'it is no farm of this version';
          socket.destroy();
          return;
        }
        if (isJson) print(`${line}\n`);
        if (!('progress' in answer)) {
          socket.destroy();
          return;
        }
        const now = performance.now();
        if (isJson || now - printedAt < PRINT_MS) return;
        printedAt = now;
        print(`${progressInWords(answer.progress)}\n`);
      },
      () => socket.destroy(),
    );
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(`${JSON.stringify(command)}\n`));
    socket.on('data', lines.write);
    socket.on('error', (error) => {
      problem = 'code' in error ? String(error.code) : error.message;
    });
    socket.on('close', () => {
      process.off('SIGINT', onInterrupt);
      const isWhole = last !== undefined && !('progress' in last);
      if (last !== undefined && !isWhole)
        resolve(own('The farm has ended.', 'FARM_ERR_STOPPED', { isJson, print }));
      else resolve(last ?? problem);
    });
  });
}

/** Undefined when it is none: somebody else listens there. */
function answerOf(line: string): ControlAnswer | undefined {
  try {
    const said: unknown = JSON.parse(line);
    if (typeof said !== 'object' || said === null || !ANSWERS.some((name) => name in said)) return undefined;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the other side is a farm of this server, and ours.
    return said as ControlAnswer;
  } catch {
    return undefined;
  }
}

function ended(answer: ControlAnswer, { isJson, print, printError }: ControlClient): ExitCode {
  if ('refused' in answer) {
    printError(`${answer.refused}\n`);
    return EXIT_CODES.portInUse.code;
  }
  if ('stopped' in answer) {
    printError(`${outcomeInWords({ stoppedBy: answer.reason, report: answer.stopped })}\n`);
    return EXIT_CODES.incomplete.code;
  }
  if ('lost' in answer) {
    printError(`${outcomeInWords({ lostBy: answer.reason, report: answer.lost })}\n`);
    return EXIT_CODES.failed.code;
  }
  if (!isJson && 'done' in answer) print(`${outcomeInWords({ report: answer.done })}\n`);
  if (!isJson && 'status' in answer) print(statusInWords(answer.status));
  return EXIT_CODES.stopped.code;
}
