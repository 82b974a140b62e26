import { Command, Option } from 'commander';
import { MIN_ECHO_BYTES } from './echo-run.ts';
import { integerBetween, parseAddresses, parseDurationMs, parsePerSecond } from './units.ts';

type LoadMode = 'hold' | 'echo' | 'churn';

/** What the command line says, defaults filled in. */
export interface LoadOptions {
  readonly url: string;
  readonly mode: LoadMode;
  readonly control: boolean;
  readonly connections: number;
  /** null: as many as needed. */
  readonly processes: number | null;
  readonly sourceAddresses: readonly string[];
  /** 0: no pace. */
  readonly openPerSecond: number;
  readonly inFlight: number;
  readonly channels: readonly string[];
  readonly holdMs: number;
  readonly expectMessages: number | null;
  readonly echoConnections: number | null;
  readonly payloadBytes: number;
  readonly isBinary: boolean;
  readonly timeoutMs: number;
  readonly json: boolean;
}

/** The types of commander's values follow from the parsers below. */
interface Flags {
  mode: LoadMode;
  control: boolean;
  connections: number;
  processes?: number;
  sourceAddresses: string[];
  ramp: number;
  inFlight: number;
  channel: string[];
  hold: number;
  expectMessages?: number;
  echoConnections?: number;
  payloadBytes: number;
  binary: boolean;
  timeout: number;
  json: boolean;
}

const EXAMPLES = `
Examples:
  roost-load ws://127.0.0.1:8080/plain --connections 1000 --channel news --expect-messages 1
  roost-load ws://127.0.0.1:8080/plain --connections 30000 --source-addresses 127.0.0.2-127.0.0.9 --ramp 5000/s
  roost-load ws://127.0.0.1:8080/echo --mode echo --connections 1000 --hold 5s --json

Exit codes: 0 all went as expected, 1 it did not, 2 nothing was begun.`;

/** The program, with what to do when its arguments are right. */
export function createProgram(run: (options: LoadOptions) => Promise<void>): Command {
  return new Command('roost-load')
    .description('Opens WebSocket connections over several processes, holds them, and counts what arrives.')
    .argument('<url>', 'ws:// URL; {i} in it stands for the number of the connection, from 0')
    .addOption(
      new Option(
        '--mode <mode>',
        'hold: open and wait; echo: a closed loop; churn: open and close, once each',
      )
        .choices(['hold', 'echo', 'churn'])
        .default('hold'),
    )
    .option(
      '--connections <n>',
      'how many; with --control the most at a time',
      integerBetween(1, 10_000_000),
      1000,
    )
    .option(
      '--processes <n>',
      'processes to share them (default: as many as needed)',
      integerBetween(1, 1024),
    )
    .option(
      '--source-addresses <list>',
      'addresses to connect from, e.g. 127.0.0.2-127.0.0.9',
      parseAddresses,
      [],
    )
    .option('--ramp <rate>', 'connections begun a second, e.g. 5000/s (default: no pace)', parsePerSecond, 0)
    .option('--in-flight <n>', 'connections in their handshake at a time', integerBetween(1, 100_000), 256)
    .option(
      '--channel <name>',
      'adds channel=<name> to the query; may be repeated',
      (name, names: string[]) => [...names, name],
      [],
    )
    .option('--hold <time>', 'how long to hold them, or to echo', parseDurationMs, 10_000)
    .option(
      '--expect-messages <n>',
      'each connection must receive exactly n; ends as soon as all have',
      integerBetween(0, 0xffff_ffff),
    )
    .option('--echo-connections <n>', 'connections that echo (default: all)', integerBetween(1, 10_000_000))
    .option('--payload-bytes <n>', 'size of an echo', integerBetween(MIN_ECHO_BYTES, 65_535), 64)
    .option('--binary', 'echo binary messages instead of text', false)
    .option('--timeout <time>', 'how long one handshake may take', parseDurationMs, 30_000)
    .option('--json', 'print the result as one line of JSON', false)
    .option('--control', 'obey commands from stdin, one JSON object a line', false)
    .addHelpText('after', EXAMPLES)
    .action((url: string, flags: Flags) =>
      run({
        url,
        mode: flags.mode,
        control: flags.control,
        connections: flags.connections,
        processes: flags.processes ?? null,
        sourceAddresses: flags.sourceAddresses,
        openPerSecond: flags.ramp,
        inFlight: flags.inFlight,
        channels: flags.channel,
        holdMs: flags.hold,
        expectMessages: flags.expectMessages ?? null,
        echoConnections: flags.echoConnections ?? null,
        payloadBytes: flags.payloadBytes,
        isBinary: flags.binary,
        timeoutMs: flags.timeout,
        json: flags.json,
      }),
    );
}
