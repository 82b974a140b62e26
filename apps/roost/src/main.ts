import { readFileSync } from 'node:fs';
import { runCommandLine } from './cli.ts';
import { startServer } from './start.ts';

// The path is the same from src/ and from dist/.
const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
);

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  folder: process.cwd(),
  version: manifest.version,
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
  start: (settings, notices) => startServer(settings, manifest.version, notices),
});
// Said outright: a handle that something left open must not keep a stopped server alive.
process.exit(exitCode);
