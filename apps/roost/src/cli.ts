import { Command, CommanderError, Option as CommandOption } from 'commander';
import { ConfigError } from './config/errors.ts';
import { flagOf, variableOf } from './config/names.ts';
import { nearest } from './config/nearest.ts';
import type { Option, OptionValue } from './config/option.ts';
import { isLimit, OPTION_KEYS, OPTIONS } from './config/options.ts';
import type { OptionKey } from './config/options.ts';
import { configAsJson, printConfig } from './config/print.ts';
import { refuseRenamed } from './config/renamed.ts';
import { resolveConfig } from './config/resolve.ts';
import type { Flags, ResolvedConfig } from './config/resolve.ts';
import type { ControlCommand } from './control/messages.ts';
import { controlCommands } from './control/control-commands.ts';
import { OutputError } from './output/print.ts';
import { EXIT_CODES } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';
import { printable } from './readable-line.ts';

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
  /** Runs the server until it has stopped. The notices belong into its log. */
  start(config: ResolvedConfig): Promise<ExitCode>;
  /** Prints what this machine lacks for such a server. `connections`: undefined for as many as are configured. */
  doctor(
    config: ResolvedConfig,
    options: { readonly connections: number | undefined; readonly isJson: boolean },
  ): Promise<ExitCode>;
  /** Has the running farm of this configuration do something. */
  control(config: ResolvedConfig, command: ControlCommand, isJson: boolean): Promise<ExitCode>;
  /** Runs the server anew after each change of its application, until it is told to end. `words` are those behind `dev`. */
  dev(config: ResolvedConfig, words: readonly string[]): Promise<ExitCode>;
}

/** Runs one command line, without the program's name, to its exit code. */
export async function runCommandLine(words: readonly string[], io: CommandLine): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.stopped.code;
  const program = new Command('roost')
    .description('A WebSocket connection farm.')
    .version(io.version, '--version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => io.print(text),
      writeErr: (text) => io.printError(`${usageError(text, words, program)}\n`),
      getOutHelpWidth: () => io.columns ?? HELP_COLUMNS,
      getErrHelpWidth: () => io.columns ?? HELP_COLUMNS,
    })
    .exitOverride();

  configurable(program.command('start'))
    .description('Run a farm until SIGTERM or SIGINT drains it; a second signal forces it.')
    .action(async (app: string | undefined, options: RawOptions) => {
      exitCode = await io.start(resolved(app, options, io));
    });
  configurable(program.command('dev'))
    .description(
      'Run a farm, and start it again after each change of the application and what it imports. It has two workers and does not drain, unless you say so.',
    )
    .action(async (app: string | undefined, options: RawOptions) => {
      exitCode = await io.dev(resolved(app, options, io), words.slice(words.indexOf('dev') + 1));
    });
  configurable(program.command('check-config'))
    .description('Print the configuration that "start" would use, with the source of each value.')
    .addOption(jsonOption())
    .action(async (app: string | undefined, options: RawOptions) => {
      const config = resolved(app, options, io);
      // What the farm itself checks; "--help" needs none of it.
      const { checkedOptions } = await import('./checked-options.ts');
      checkedOptions(config);
      io.print(options['json'] === true ? configAsJson(config) : printConfig(config));
      for (const { message } of config.notices) io.printError(`${printable(message)}\n`);
    });
  configurable(program.command('doctor'))
    .description(
      'Check this machine, and the Redis that is configured, against the connections that are wanted, and print what to change.',
    )
    .addOption(
      new CommandOption(
        '--connections <n>',
        'How many connections to check for. (leave it out for maxConnections)',
      ).helpGroup('Settings:'),
    )
    .addOption(jsonOption())
    .action(async (app: string | undefined, options: RawOptions) => {
      const connections = wantedConnections(options['connections']);
      exitCode = await io.doctor(resolved(app, options, io), {
        connections,
        isJson: options['json'] === true,
      });
    });

  controlCommands(program, async (command, options) => {
    exitCode = await io.control(resolved(undefined, options, io), command, options['json'] === true);
  });

  program
    .command('init')
    .description('Make a project in TypeScript, with a test and a container, in a new or empty folder.')
    .copyInheritedSettings(program)
    .argument('[folder]', 'The folder of the project. (leave it out for the current one)')
    .action(async (folder = '.') => {
      // Nothing else needs it.
      const { createProject, whatNext } = await import('create-roost-app');
      io.print(whatNext(createProject(folder, io.folder), io.folder));
    });

  // Of commander's own an unknown name prints the whole help as an error.
  program
    .command('help')
    .description('Print the help of a command.')
    .argument('[command]')
    .action((name: string | undefined) => {
      const known = program.commands.map((command) => command.name());
      if (name === undefined) program.outputHelp();
      else if (known.includes(name)) program.commands[known.indexOf(name)]?.outputHelp();
      else {
        const near = nearest(name, known);
        program.error(`unknown command '${name}'${near === undefined ? '' : ` (Did you mean ${near}?)`}`);
      }
    });

  try {
    if (words.length === 0) program.outputHelp();
    else await program.parseAsync(withSwitchValues(words), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_CODES.stopped.code : EXIT_CODES.misconfigured.code;
    }
    if (error instanceof ConfigError) {
      io.printError(`${printable(error.message)}\n`);
      return EXIT_CODES.misconfigured.code;
    }
    if (error instanceof Error && 'code' in error && error.code === 'PROJECT_ERR_FOLDER') {
      io.printError(`${printable(error.message)}\n`);
      return EXIT_CODES.uncreatable.code;
    }
    if (error instanceof OutputError) {
      io.printError(`${error.message}\n`);
      return EXIT_CODES.unwritable.code;
    }
    throw error;
  }
}

/** What commander says of a wrong command line, in one line (it puts a suggestion on a separate one), and where to look. */
function usageError(text: string, [first = '']: readonly string[], program: Command): string {
  const line = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  if (line.endsWith('?)')) return line;
  const isKnown = first !== 'help' && program.commands.some((command) => command.name() === first);
  return `${line.replace(/\.?$/, '.')} See "roost${isKnown ? ` ${first}` : ''} --help".`;
}

function jsonOption(): CommandOption {
  return new CommandOption('--json', 'Print JSON, for programs.').helpGroup('Settings:');
}

/** Throws a ConfigError. */
function wantedConnections(written: string | boolean | undefined): number | undefined {
  if (written === undefined) return undefined;
  const { schema, fromText, allowed } = OPTIONS.maxConnections;
  const result = schema.safeParse(fromText(String(written)));
  if (result.success) return result.data;
  throw new ConfigError(
    'CONFIG_ERR_VALUE',
    `--connections must be ${allowed}, got ${JSON.stringify(written)}. Leave it out for maxConnections.`,
  );
}

/** Each switch by its flag. */
const SWITCHES: ReadonlyMap<string, OptionKey> = new Map(
  OPTION_KEYS.filter((key) => OPTIONS[key].placeholder === undefined).map((key) => [flagOf(key), key]),
);

/**
 * Makes `--switch false` and `--switch=false` what commander knows, `--no-switch`. To it an optional value would be any word
 * that follows, and so the application, too. Throws a ConfigError for `--switch=` with anything but
 * true and false, and for the old name of an option.
 */
function withSwitchValues(words: readonly string[]): string[] {
  const written: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    // What follows is not a flag.
    if (word === '--') return [...written, ...words.slice(at)];
    const [flag = '', ...rest] = word.split('=');
    refuseRenamed(flag);
    const key = SWITCHES.get(flag);
    const next = words[at + 1];
    const isApart = rest.length === 0 && (next === 'true' || next === 'false');
    const value = isApart ? next : rest.join('=');
    if (key === undefined || (rest.length === 0 && !isApart)) written.push(word);
    else if (value === 'true' || value === 'false')
      written.push(value === 'true' ? flag : flag.replace('--', '--no-'));
    else {
      throw new ConfigError(
        'CONFIG_ERR_VALUE',
        `${flag} must be ${OPTIONS[key].allowed}, got ${JSON.stringify(value)}. Leave it out ${OPTIONS[key].whenLeftOut}.`,
      );
    }
    if (key !== undefined && isApart) at++;
  }
  return written;
}

/** As commander collects them: by the flag's name in camel case. */
type RawOptions = Readonly<Record<string, string | boolean | undefined>>;

function configurable(command: Command): Command {
  command
    .copyInheritedSettings(command.parent ?? command)
    .addHelpOption(new CommandOption('-h, --help', 'Print this help.').helpGroup('Settings:'))
    .argument(flagOf('app'), OPTIONS.app.doc.replaceAll('`', ''))
    .addOption(
      new CommandOption('--config <file>', 'A YAML file of settings (ROOST_CONFIG).').helpGroup('Settings:'),
    )
    .addHelpText(
      'after',
      `
Every option is also an environment variable and a key of the file: ${flagOf('plain.clientPublish')} is
${variableOf('plain.clientPublish')}, and clientPublish in the group plain. Flags beat the environment,
which beats the file, which beats the defaults. A switch is turned off by --no-<switch> or --<switch>=false.`,
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
