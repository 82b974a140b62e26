import { Option, type Command } from 'commander';
import { ConfigError } from '../config/errors.ts';
import { flagOf } from '../config/names.ts';
import type { ControlCommand } from './messages.ts';
import { commandSchema } from './messages.ts';

/** As commander collects them. */
type RawOptions = Readonly<Record<string, string | boolean | undefined>>;

/** The commands for a farm that runs. `onCommand` has it done. */
export function controlCommands(
  program: Command,
  onCommand: (command: ControlCommand, options: RawOptions) => Promise<void>,
): void {
  locating(program.command('reload').copyInheritedSettings(program))
    .description(
      'Replace the workers of a running farm by new ones, which load the application anew, and move its connections to them.',
    )
    .addOption(
      new Option(
        '--canary <share>',
        'Start one new worker only, and move this share of all connections to it: 5%.',
      ),
    )
    .addOption(new Option('--continue', 'Replace the other workers, too, after a canary.'))
    .addOption(new Option('--rollback', 'Move back what the canary has, and end it.'))
    .action(async (options: RawOptions) => onCommand(reloadOf(options), options));
  locating(program.command('workers').copyInheritedSettings(program))
    .description('Give a running farm more or fewer workers, and move connections accordingly.')
    .argument('<n>', 'How many workers there are to be, 1 to 1024.')
    .action(async (written: string, options: RawOptions) => {
      const command = commandSchema.safeParse({ command: 'workers', workers: Number(written) }).data;
      if (command === undefined) throw wrong('The number of workers', 'an integer from 1 to 1024', written);
      return onCommand(command, options);
    });
  locating(program.command('rebalance').copyInheritedSettings(program))
    .description('Move connections of a running farm until all workers have about as many.')
    .action(async (options: RawOptions) => onCommand({ command: 'rebalance' }, options));
  locating(program.command('status').copyInheritedSettings(program))
    .description('Print the workers of a running farm, and how far a change of it has come.')
    .action(async (options: RawOptions) => onCommand({ command: 'status' }, options));
}

/** What says which farm is meant. */
function locating(command: Command): Command {
  return command
    .addOption(new Option('--config <file>', 'The YAML file that the farm was started with (ROOST_CONFIG).'))
    .addOption(new Option(`${flagOf('port')} <port>`, 'The port of the farm.'))
    .addOption(new Option(`${flagOf('controlSocket')} <path>`, 'The control socket of the farm.'))
    .addOption(new Option('--json', 'Print JSON, for programs.'));
}

function reloadOf(options: RawOptions): ControlCommand {
  const canary = options['canary'];
  const chosen = [canary !== undefined, options['continue'] === true, options['rollback'] === true];
  if (chosen.filter(Boolean).length > 1) {
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      'Only one of --canary, --continue and --rollback can be meant.',
    );
  }
  if (options['continue'] === true) return { command: 'continue' };
  if (options['rollback'] === true) return { command: 'rollback' };
  if (canary === undefined) return { command: 'reload' };
  const written = String(canary);
  const share = written.endsWith('%') ? Number(written.slice(0, -1)) / 100 : Number.NaN;
  const command = commandSchema.safeParse({ command: 'canary', share }).data;
  if (command !== undefined) return command;
  throw wrong('--canary', `a percentage above 0% and up to ${MAX_PERCENT}%`, written);
}

const MAX_PERCENT = 50;

function wrong(what: string, allowed: string, written: string): ConfigError {
  return new ConfigError('CONFIG_ERR_VALUE', `${what} must be ${allowed}, got ${JSON.stringify(written)}.`);
}
