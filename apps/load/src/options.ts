import { Command, Option } from 'commander';
import type { Greeting } from './clients/clients.ts';
import { parseMessageTemplate, PLAIN_TEMPLATE } from './message-template.ts';
import { MIN_ECHO_BYTES } from './processes/echo-run.ts';
import {
  integerBetween,
  parseAddresses,
  parseDurationMs,
  parseLinkLoss,
  parsePerSecond,
  parseShare,
} from './units.ts';

const SCENARIOS = {
  idle: 'opens and holds them',
  echo: 'each sends messages and expects them back: a closed loop, or --rate',
  broadcast: '--publish sends publications, which every connection expects',
  churn: 'each is closed as soon as it is open',
  storm: 'all are begun at once',
  'slow-readers': 'broadcast, while a --slow share of the connections does not read',
} as const;

export type Scenario = keyof typeof SCENARIOS;

/** What the command line says, defaults filled in. */
export interface LoadOptions {
  readonly url: string;
  readonly scenario: Scenario;
  readonly control: boolean;
  readonly connections: number;
  /** null: as many as needed. */
  readonly processes: number | null;
  readonly sourceAddresses: readonly string[];
  /** 0: no pace. */
  readonly openPerSecond: number;
  readonly inFlight: number;
  readonly channels: readonly string[];
  readonly headers: readonly string[];
  readonly caFile: string | null;
  readonly isInsecure: boolean;
  readonly greeting: Greeting;
  /** How the server's protocol wraps messages; see MessageTemplate. */
  readonly messageTemplate: string;
  readonly holdMs: number;
  readonly expectMessages: number | null;
  readonly echoConnections: number | null;
  /** Messages or publications a second; null: the scenario's own. */
  readonly rate: number | null;
  readonly payloadBytes: number;
  readonly isBinary: boolean;
  readonly publish: string | null;
  readonly publishChannel: string | null;
  readonly publishHeaders: readonly string[];
  readonly slowShare: number;
  readonly expectP99Ms: number | null;
  readonly expectDeliveredShare: number | null;
  readonly timeoutMs: number;
  /** Clients in user space, with the server in a network namespace. */
  readonly isPhantom: boolean;
  /** Command that starts the server there; null: somebody else does. */
  readonly server: string | null;
  /** Share of the packets between server and phantom clients that are lost; as many come twice, and as many late. */
  readonly linkLossShare: number;
  readonly json: boolean;
}

/** The types of commander's values follow from the parsers below. */
interface Flags {
  scenario: Scenario;
  control?: boolean;
  connections: number;
  processes?: number;
  sourceAddresses?: string[];
  ramp: number;
  inFlight?: number;
  channel?: string[];
  header?: string[];
  ca?: string;
  insecure?: boolean;
  say?: string[];
  await?: string;
  messageTemplate: string;
  hold: number;
  expectMessages?: number;
  echoConnections?: number;
  rate?: number;
  payloadBytes: number;
  binary?: boolean;
  publish?: string;
  publishChannel?: string;
  publishHeader?: string[];
  slow: number;
  expectP99?: number;
  expectDelivered?: number;
  timeout: number;
  phantom?: boolean;
  server?: string;
  linkLoss: number;
  json?: boolean;
}

const DEFAULT_IN_FLIGHT = 256;

const HELP = `
Scenarios:
${Object.entries(SCENARIOS)
  .map(([name, does]) => `  ${name.padEnd(13)} ${does}`)
  .join('\n')}

Latencies of echo --rate, broadcast and slow-readers count from when a message was due, not from when it could be
sent: a stall shows in every message that was due meanwhile. Those of the closed loop count from the sending.

Examples:
  roost-load ws://127.0.0.1:8080/plain --connections 30000 --channel news --source-addresses 127.0.0.2-127.0.0.9 --ramp 5000/s --hold 60s
  roost-load ws://127.0.0.1:8080/echo --scenario echo --connections 1000 --rate 20000/s --hold 10s --expect-p99 20ms
  roost-load ws://127.0.0.1:8080/plain --scenario broadcast --channel news --publish redis://127.0.0.1 \\
    --publish-channel roost:channel:news --rate 2/s --expect-delivered 100%
  roost-load ws://127.0.0.1:8080/plain --phantom --server 'npx roost-server start' --connections 100000 --hold 60s
  roost-load wss://example.com/socket?user={i} --scenario storm --connections 5000 --header 'Authorization: Bearer …'
  roost-load 'ws://127.0.0.1:3000/socket.io/?EIO=4&transport=websocket' --say 40 --await '40{' \\
    --message-template '42["message","{data}"]' --scenario echo

Exit codes: 0 all went as expected, 1 it did not, 2 nothing was begun, 78 phantom clients cannot be had here.`;

/** A flag that may be given again. */
function repeated(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

/** The program, with what to do when its arguments are right. */
export function createProgram(run: (options: LoadOptions) => Promise<void>): Command {
  return new Command('roost-load')
    .description(
      'Puts load on a WebSocket server from several processes, and reports what came back, and when.',
    )
    .argument('<url>', 'ws:// or wss:// URL; {i} in it stands for the number of the connection, from 0')
    .addOption(
      new Option('--scenario <name>', 'what to do with the connections: see below')
        .choices(Object.keys(SCENARIOS))
        .default('idle'),
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
    )
    .addOption(
      new Option('--ramp <rate>', 'connections begun per second, e.g. 5000/s')
        .argParser(parsePerSecond)
        .default(0, 'no pace'),
    )
    .option(
      '--in-flight <n>',
      `connections in their handshake at a time (default: ${DEFAULT_IN_FLIGHT}, in a storm all)`,
      integerBetween(1, 10_000_000),
    )
    .option('--channel <name>', 'adds channel=<name> to the query; may be repeated', repeated)
    .option('--header <line>', 'adds a line to the request head; may be repeated', repeated)
    .option('--ca <file>', 'PEM file of authorities to trust with wss://')
    .option('--insecure', 'trust any certificate')
    .option('--say <text>', 'text message that each connection sends first; may be repeated', repeated)
    .option(
      '--await <text>',
      'a connection is open when a message has come that begins so (default: with its 101)',
    )
    .addOption(
      new Option(
        '--message-template <text>',
        'how the server wraps messages, data at {data}; others are not counted',
      )
        .argParser(parseMessageTemplate)
        .default(PLAIN_TEMPLATE)
        .conflicts('binary'),
    )
    .addOption(
      new Option('--hold <time>', 'how long to hold them, to echo, or to publish')
        .argParser(parseDurationMs)
        .default(10_000, '10s'),
    )
    .option(
      '--rate <rate>',
      'echo: messages per second, of all connections together (default: a closed loop); broadcast: publications per second (default: 1/s)',
      parsePerSecond,
    )
    .option(
      '--payload-bytes <n>',
      'size of a message, without the template',
      integerBetween(MIN_ECHO_BYTES, 65_535),
      64,
    )
    .option('--echo-connections <n>', 'connections that echo (default: all)', integerBetween(1, 10_000_000))
    .option('--binary', 'echo binary messages instead of text')
    .option(
      '--publish <how>',
      'a redis:// URL, an http:// URL to POST {"channel","data"} to, or a shell command with {data} in it',
    )
    .option('--publish-channel <name>', 'channel of the publications (default: that of --channel)')
    .option('--publish-header <line>', 'header of the POST, e.g. "X-API-Key: …"; may be repeated', repeated)
    .addOption(
      new Option('--slow <share>', 'connections that do not read').argParser(parseShare).default(0.01, '1%'),
    )
    .option(
      '--expect-messages <n>',
      'idle: each connection must receive exactly n; ends as soon as all have',
      integerBetween(0, 0xffff_ffff),
    )
    .option('--expect-p99 <time>', 'latency that 99 % must keep (storm: of the handshakes)', parseDurationMs)
    .option(
      '--expect-delivered <share>',
      'publications that must arrive, e.g. 100%, of those who read',
      parseShare,
    )
    .addOption(
      new Option('--timeout <time>', 'how long one handshake may take')
        .argParser(parseDurationMs)
        .default(30_000, '30s'),
    )
    .option('--phantom', 'clients in user space, with the server in a network namespace of its own (root)')
    .option('--server <command>', 'with --phantom: starts the server there (default: you start it)')
    .addOption(
      new Option(
        '--link-loss <share>',
        'with --phantom: packets that get lost, up to 33%; as many come twice, and as many late',
      )
        .argParser(parseLinkLoss)
        .default(0, 'none'),
    )
    .option('--json', 'print the result as one line of JSON')
    .option('--control', 'obey commands from stdin, one JSON object a line')
    .addHelpText('after', HELP)
    .action((url: string, flags: Flags) =>
      run({
        url,
        scenario: flags.scenario,
        control: flags.control ?? false,
        connections: flags.connections,
        processes: flags.processes ?? null,
        sourceAddresses: flags.sourceAddresses ?? [],
        openPerSecond: flags.ramp,
        inFlight: flags.inFlight ?? (flags.scenario === 'storm' ? flags.connections : DEFAULT_IN_FLIGHT),
        channels: flags.channel ?? [],
        headers: flags.header ?? [],
        caFile: flags.ca ?? null,
        isInsecure: flags.insecure ?? false,
        greeting: { says: flags.say ?? [], awaits: flags.await ?? null },
        messageTemplate: flags.messageTemplate,
        holdMs: flags.hold,
        expectMessages: flags.expectMessages ?? null,
        echoConnections: flags.echoConnections ?? null,
        rate: flags.rate ?? null,
        payloadBytes: flags.payloadBytes,
        isBinary: flags.binary ?? false,
        publish: flags.publish ?? null,
        publishChannel: flags.publishChannel ?? flags.channel?.[0] ?? null,
        publishHeaders: flags.publishHeader ?? [],
        slowShare: flags.slow,
        expectP99Ms: flags.expectP99 ?? null,
        expectDeliveredShare: flags.expectDelivered ?? null,
        timeoutMs: flags.timeout,
        isPhantom: flags.phantom ?? false,
        server: flags.server ?? null,
        linkLossShare: flags.linkLoss,
        json: flags.json ?? false,
      }),
    );
}
