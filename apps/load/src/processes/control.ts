import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { LoadError } from '../errors.ts';
import { PLAIN_TEMPLATE } from '../message-template.ts';
import type { LoadOptions } from '../options.ts';
import { ownNamespace } from '../phantom/in-namespace.ts';
import type { Coordinator } from './coordinator.ts';
import { Latencies } from '../report/latencies.ts';
import { MIN_ECHO_BYTES } from './echo-run.ts';

/** Defaults of commands that leave something out. */
export type ControlDefaults = Pick<
  LoadOptions,
  'connections' | 'openPerSecond' | 'inFlight' | 'payloadBytes' | 'isBinary' | 'messageTemplate'
>;

/**
 * Obeys commands from a parent program, one JSON object a line, one after the other; each is answered by one line with
 * `do` and the result, or `do` and `error`. Resolves at the end of the input, or when `signal` is aborted.
 *
 * ```
 * {"do":"open","count":10000,"inFlight":256,"perSecond":5000}   → {"do":"open","seconds":2.1,"handshakeMs":{…},"connected":10000, …report}
 * {"do":"open","count":10000,"process":3}                       → the same, all in one of the processes, which are numbered from 0
 * {"do":"churn","count":10000}                                  → the same, when all are closed again
 * {"do":"echo","connections":1000,"seconds":5,"payloadBytes":64} → {"do":"echo","echoes":…,"latencyMs":{…}, …}; perSecond sets a rate
 * {"do":"await","messages":20,"timeoutSeconds":10}              → {"do":"await","complete":true, …report}
 * {"do":"reset"} {"do":"close"} {"do":"report"}                 → {"do":…, …report}
 * ```
 */
export async function obeyCommands(
  coordinator: Coordinator,
  defaults: ControlDefaults,
  io: { readonly input: Readable; readonly write: (line: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  const namespace = ownNamespace();
  io.write(
    JSON.stringify({
      do: 'start',
      processes: coordinator.processCount,
      connections: defaults.connections,
      // Where the server of phantom clients is to be started.
      ...(namespace === undefined ? {} : { namespace }),
    }),
  );
  for await (const line of createInterface({ input: io.input, signal: io.signal })) {
    if (line.trim() === '') continue;
    let verb: unknown = null;
    try {
      const command = parseCommand(line);
      verb = command['do'];
      io.write(JSON.stringify({ do: verb, ...(await obey(coordinator, command, defaults)) }));
    } catch (error) {
      io.write(JSON.stringify({ do: verb, error: error instanceof Error ? error.message : String(error) }));
      // Without one of its processes no later answer would be true.
      if (error instanceof LoadError && error.code === 'LOAD_ERR_PROCESS') throw error;
    }
  }
}

type ControlCommand = Readonly<Record<string, unknown>>;

function parseCommand(line: string): ControlCommand {
  let command: unknown;
  try {
    command = JSON.parse(line);
  } catch (cause) {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      `a command must be one line of JSON, got ${JSON.stringify(line)}.`,
      {
        cause,
      },
    );
  }
  if (typeof command !== 'object' || command === null || Array.isArray(command)) {
    throw new LoadError('LOAD_ERR_OPTION', `a command must be a JSON object, got ${JSON.stringify(line)}.`);
  }
  return { ...command };
}

async function obey(
  coordinator: Coordinator,
  command: ControlCommand,
  defaults: ControlDefaults,
): Promise<object> {
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const number = (name: string, fallback: number, max: number, min = 0) => {
    const value = command[name] ?? fallback;
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw new LoadError(
        'LOAD_ERR_OPTION',
        `${name} must be a number from ${min} to ${max}, got ${JSON.stringify(value)}.`,
      );
    }
    return value;
  };
  switch (command['do']) {
    case 'open':
    case 'churn': {
      const report = await coordinator.open({
        count: Math.floor(number('count', defaults.connections, 10_000_000)),
        perSecond: number('perSecond', defaults.openPerSecond, 10_000_000),
        inFlight: Math.floor(number('inFlight', defaults.inFlight, 100_000, 1)),
        isChurn: command['do'] === 'churn',
        process:
          command['process'] === undefined
            ? undefined
            : Math.floor(number('process', 0, coordinator.processCount - 1)),
      });
      const handshakes = new Latencies();
      handshakes.add(report.handshakes);
      return { seconds: seconds(), handshakeMs: handshakes.summary(), ...report };
    }
    case 'echo': {
      const isBinary = command['isBinary'] === undefined ? defaults.isBinary : command['isBinary'] === true;
      if (isBinary && defaults.messageTemplate !== PLAIN_TEMPLATE) {
        throw new LoadError(
          'LOAD_ERR_OPTION',
          'isBinary must be false with --message-template, which wraps texts, got true.',
        );
      }
      return await coordinator.echo({
        connections: Math.floor(number('connections', defaults.connections, 10_000_000, 1)),
        milliseconds: number('seconds', 5, 86_400, 0.001) * 1000,
        payloadBytes: Math.floor(number('payloadBytes', defaults.payloadBytes, 65_535, MIN_ECHO_BYTES)),
        perSecond: number('perSecond', 0, 10_000_000),
        isBinary,
      });
    }
    case 'await': {
      const messages = Math.floor(number('messages', 1, 0xffff_ffff, 1));
      const complete = await coordinator.waitForMessages(
        messages,
        number('timeoutSeconds', 30, 86_400) * 1000,
      );
      return { complete, seconds: seconds(), ...(await coordinator.report()) };
    }
    case 'reset':
      await coordinator.reset();
      return await coordinator.report();
    case 'close':
      return { ...(await coordinator.close()), seconds: seconds() };
    case 'report':
      return await coordinator.report();
    default:
      throw new LoadError(
        'LOAD_ERR_OPTION',
        `do must be open, churn, echo, await, reset, close or report, got ${JSON.stringify(command['do'])}.`,
      );
  }
}
