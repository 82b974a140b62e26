import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { runCommandLine } from './cli.ts';
import { printAll, printError } from './output/print.ts';
import { startServer } from './start.ts';

// The path is the same from src/ and from dist/.
const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  folder: process.cwd(),
  version: manifest.version,
  // Not process.stdout.isTTY: looking at it makes a pipe non-blocking, for all processes that share it.
  columns: isatty(1) ? process.stdout.columns : undefined,
  print: printAll,
  printError,
  start: (config) => startServer(config, manifest.version),
  doctor: async (config, options) => {
    const { runDoctor } = await import('./doctor/doctor.ts');
    // See https://no-color.org: any value counts, an empty one does not.
    const hasColours = isatty(1) && (process.env['NO_COLOR'] ?? '') === '';
    return runDoctor(config, { ...options, hasColours, print: printAll });
  },
  control: async ({ settings }, command, isJson) => {
    const { runCommand } = await import('./control/control-client.ts');
    return runCommand(settings, command, {
      environment: process.env,
      isJson,
      print: printAll,
      printError,
    });
  },
  dev: async (config, words) => {
    // What watches files is for this command only.
    const { runDev } = await import('./dev/dev.ts');
    return runDev(config, { words, folder: process.cwd(), print: printAll, printError });
  },
});
// Said outright: a handle that something left open must not keep a stopped server alive.
process.exit(exitCode);
