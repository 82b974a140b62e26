import { RENAMED_OPTIONS } from '@roost/farm';
import { ConfigError } from './errors.ts';
import { flagOf, variableOf } from './names.ts';

/** Each old spelling of an option, as a flag, a variable or a key of the file, and the one that it has now. */
const NEW_SPELLINGS: ReadonlyMap<string, string> = new Map(
  Object.entries(RENAMED_OPTIONS).flatMap(([from, to]): [string, string][] => [
    [from, to],
    [flagOf(from), flagOf(to)],
    [variableOf(from), variableOf(to)],
  ]),
);

/**
 * Throws a ConfigError when what was written is the old name of an option. To ignore a variable with an old name would drop
 * a bound that the user has set.
 */
export function refuseRenamed(written: string): void {
  const renamed = NEW_SPELLINGS.get(written);
  if (renamed === undefined) return;
  throw new ConfigError('CONFIG_ERR_UNKNOWN', `${written} is called ${renamed} now. Rename it.`);
}
