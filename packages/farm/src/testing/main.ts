import type { Farm } from '../api/farm.ts';
import type { Log, LogFields, LogLevel } from '../api/log.ts';
import { startFarm } from '../start-farm.ts';
import type { TestMessageFromFarm, TestMessageToFarm } from './messages.ts';

// The process of a test farm: the master. It does what the test says, and ends with it, however that ends.

let farm: Farm | undefined;

process.on('message', (message: TestMessageToFarm) => {
  if (message.type === 'start') void start(message);
  if (message.type === 'info') void tellInfo(message.id);
  if (message.type === 'stop') void end();
});

process.on('disconnect', () => {
  void farm?.stop();
  // Workers end with their master.
  if (farm === undefined) process.exit();
});

async function start({ options }: Extract<TestMessageToFarm, { type: 'start' }>): Promise<void> {
  try {
    farm = await startFarm({ ...options, app: new URL('./worker-app.js', import.meta.url), log });
    tell({ type: 'ready', port: farm.port });
    // Whatever ends it, what it has printed and logged goes out before.
    await farm.stopped;
    if (process.connected) process.disconnect();
  } catch (error) {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  }
}

async function tellInfo(id: number): Promise<void> {
  try {
    if (farm === undefined) throw new Error('The farm has not started.');
    tell({ type: 'info', id, info: await farm.info() });
  } catch (error) {
    tell({ type: 'noInfo', id, reason: error instanceof Error ? error.message : String(error) });
  }
}

async function end(): Promise<void> {
  if (farm === undefined) process.exit();
  await farm.drain();
}

/** A test that has ended hears nothing, and nobody minds. */
function tell(message: TestMessageFromFarm): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function logAs(level: LogLevel) {
  return (fields: LogFields, message: string): void => {
    tell({ type: 'log', line: { level, message, fields: plain(fields) } });
  };
}

/** Without what cannot be sent to another process. */
function plain(fields: LogFields): Readonly<Record<string, unknown>> {
  return JSON.parse(
    JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.stack : value)),
  );
}

const log: Log = {
  debug: () => undefined,
  info: logAs('info'),
  warn: logAs('warn'),
  error: logAs('error'),
  fatal: logAs('fatal'),
  print: (stream, lines) => void process[stream].write(lines),
};
