import { Command, CommanderError, Option as CommandOption } from 'commander';
import { ConfigError } from './config/errors.ts';
import { flagOf, variableOf } from './config/names.ts';
import type { Option, OptionValue } from './config/option.ts';
import { isLimit, OPTION_KEYS, OPTIONS } from './config/options.ts';
import type { OptionKey, Settings } from './config/options.ts';
import { printConfig } from './config/print.ts';
import { resolveConfig } from './config/resolve.ts';
import type { Flags, ResolvedConfig } from './config/resolve.ts';
import { OutputError } from './output/print.ts';
import { EXIT_CODES } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';

/** Width of the help where no terminal says its own. */
const HELP_COLUMNS = 110;

/** What the command line needs from the process that it runs in, and what it starts. */
export interface CommandLine {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  readonly version: string;
  /** Columns of the terminal, if it is one. */
  readonly columns: number | undefined;
  print(text: string): void;
  printError(text: string): void;
  /** Runs the server until it has stopped. */
  start(settings: Settings): Promise<ExitCode>;
}

/** Runs one command line, without the program's name, to its exit code. */
export async function runCommandLine(words: readonly string[], io: CommandLine): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.stopped.code;
  const program = new Command('roost')
    .description('A WebSocket connection farm.')
    .version(io.version, '--version', 'Print the version.')
    .helpOption('--help', 'Print this help.')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => io.print(text),
      // A suggestion of commander stands on a line of its own; here an error is one line.
      writeErr: (text) =>
        io.printError(
          `${text
            .trim()
            .replace(/^error: /, '')
            .replace(/\s*\n\s*/g, ' ')}\n`,
        ),
      getOutHelpWidth: () => io.columns ?? HELP_COLUMNS,
      getErrHelpWidth: () => io.columns ?? HELP_COLUMNS,
    })
    .exitOverride();

  configurable(program.command('start'))
    .description('Run a farm until SIGTERM or SIGINT drains it; a second signal forces it.')
    .action(async (app: string | undefined, options: RawOptions) => {
      exitCode = await io.start(resolved(app, options, io).settings);
    });
  configurable(program.command('check-config'))
    .description('Print the configuration that "start" would use, with the source of each value.')
    .action((app: string | undefined, options: RawOptions) => {
      io.print(printConfig(resolved(app, options, io)));
    });

  try {
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_CODES.stopped.code : EXIT_CODES.misconfigured.code;
    }
    if (error instanceof ConfigError) {
      io.printError(`${error.message}\n`);
      return EXIT_CODES.misconfigured.code;
    }
    if (error instanceof OutputError) {
      io.printError(`${error.message}\n`);
      return EXIT_CODES.unwritable.code;
    }
    throw error;
  }
}

/** As commander collects them: by the flag's name in camel case. */
type RawOptions = Readonly<Record<string, string | boolean | undefined>>;

function configurable(command: Command): Command {
  command
    .copyInheritedSettings(command.parent ?? command)
    .addHelpOption(new CommandOption('--help', 'Print this help.').helpGroup('Settings:'))
    .argument(flagOf('app'), OPTIONS.app.doc.replaceAll('`', ''))
    .addOption(
      new CommandOption('--config <file>', 'A YAML file of settings (ROOST_CONFIG).').helpGroup('Settings:'),
    )
    .addHelpText(
      'after',
      `
Every option is also an environment variable and a key of the file: ${flagOf('plain.clientPublish')} is
${variableOf('plain.clientPublish')}, and clientPublish in the group plain. Flags beat the environment,
which beats the file, which beats the defaults. A switch is turned off by --no-<switch>.`,
    );
  for (const key of OPTION_KEYS) {
    if (key === 'app') continue;
    const option: Option<OptionValue> = OPTIONS[key];
    const value = option.placeholder === undefined ? '' : ` ${option.placeholder}`;
    command.addOption(
      new CommandOption(`${flagOf(key)}${value}`, description(option)).helpGroup(
        isLimit(key) ? 'Limits:' : 'Settings:',
      ),
    );
    if (option.placeholder === undefined) {
      command.addOption(new CommandOption(flagOf(key).replace('--', '--no-')).hideHelp());
    }
  }
  return command;
}

function description(option: Option<OptionValue>): string {
  const doc = option.doc.replaceAll('`', '');
  if (typeof option.default === 'boolean') return doc;
  if (option.default === null || typeof option.default === 'object') {
    return `${doc} (leave it out ${option.whenLeftOut})`;
  }
  return `${doc} (default: ${String(option.default)})`;
}

function resolved(app: string | undefined, options: RawOptions, io: CommandLine): ResolvedConfig {
  const { config } = options;
  return resolveConfig({
    flags: flagsOf(app, options),
    configPath: typeof config === 'string' ? config : undefined,
    environment: io.environment,
    folder: io.folder,
  });
}

function flagsOf(app: string | undefined, options: RawOptions): Flags {
  const flags: Partial<Record<OptionKey, string | boolean>> = {};
  if (app !== undefined) flags.app = app;
  for (const key of OPTION_KEYS) {
    // `plain.clientPublish` is --plain-client-publish, which commander collects as plainClientPublish.
    const value = options[key.replace(/\.(.)/, (_, letter: string) => letter.toUpperCase())];
    if (key !== 'app' && value !== undefined) flags[key] = value;
  }
  return flags;
}
