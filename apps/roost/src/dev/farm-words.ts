import { flagOf } from '../config/names.ts';
import type { OptionKey } from '../config/options.ts';
import type { ResolvedConfig } from '../config/resolve.ts';

/** What suits a farm that is started over and over again, where nobody has said otherwise. */
const DEFAULTS: Readonly<Partial<Record<OptionKey, string>>> = {
  // Two show what is different from one: their apps share no memory.
  workers: '2',
  // A change is to be seen at once.
  warmUpMs: '0',
  drainMs: '0',
  stopTimeoutMs: '500',
};

/**
 * The words behind `roost start` for those behind `roost dev`. `port` is the one that the first farm got, where the kernel
 * chose it: clients that reconnect must find the next farm.
 */
export function farmWords(
  words: readonly string[],
  { settings, origins }: Pick<ResolvedConfig, 'settings' | 'origins'>,
  port: number | undefined,
): readonly string[] {
  const added = Object.entries(DEFAULTS).filter(([key]) => origins.get(asKey(key)) === 'default');
  const flags = added.flatMap(([key, value]) => [flagOf(asKey(key)), value]);
  if (settings.port === 0 && port !== undefined) flags.push('--port', String(port));
  // The last of two flags counts; behind -- there are none.
  const end = words.indexOf('--');
  return end === -1 ? [...words, ...flags] : [...words.slice(0, end), ...flags, ...words.slice(end)];
}

function asKey(key: string): OptionKey {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.entries forgets what the keys are
  return key as OptionKey;
}
