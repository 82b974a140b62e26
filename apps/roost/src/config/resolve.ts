import { dirname, resolve } from 'node:path';
import type { TlsOptions } from '@roost/farm';
import { checkAdmin } from './admin.ts';
import { readConfigFile } from './file.ts';
import type { FileEntry, ValuePath } from './file.ts';
import { CONFIG_VARIABLE, flagOf, variableOf } from './names.ts';
import type { Option, OptionValue } from './option.ts';
import { OPTION_KEYS, OPTIONS } from './options.ts';
import type { OptionKey, Settings } from './options.ts';
import { checkPusher } from './pusher.ts';
import { readTls } from './tls.ts';
import { checkTokens } from './tokens.ts';
import { pathText, valueError } from './value-error.ts';
import { readVariables } from './variables.ts';
import type { Notice } from './variables.ts';

/** What was written on the command line: text for options with a value, a boolean for switches. */
export type Flags = Readonly<Partial<Record<OptionKey, string | boolean>>>;

export interface ConfigSources {
  readonly flags: Flags;
  /** The file of `--config`; undefined looks at ROOST_CONFIG. */
  readonly configPath: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Relative paths of flags and variables count from here. */
  readonly folder: string;
}

/** What a server starts with. */
export interface ResolvedConfig {
  readonly settings: Settings;
  /** Where each came from in the user's words: `--port`, `ROOST_PORT`, `line 3 of roost.yaml`, `default`. */
  readonly origins: ReadonlyMap<OptionKey, string>;
  /** Absolute path of the configuration file; undefined without one. */
  readonly configPath: string | undefined;
  /** Certificate and private key, as read with the settings; undefined without TLS. */
  readonly tls: TlsOptions | undefined;
  /** What was ignored and the operator should know about. */
  readonly notices: readonly Notice[];
}

/** A value as it was written, and the name under which the user knows it. */
interface Written {
  readonly value: unknown;
  /** Of the whole value, or of a part of it. */
  readonly nameOf: (path: ValuePath) => string;
  readonly origin: string;
  /** Relative paths count from here. */
  readonly folder: string;
}

/** Flags beat the environment, which beats the file, which beats the defaults. Throws a ConfigError. */
export function resolveConfig(sources: ConfigSources): ResolvedConfig {
  const { variables, notices } = readVariables(sources.environment);
  const path = sources.configPath ?? variables.get(CONFIG_VARIABLE);
  const file: ReadonlyMap<OptionKey, FileEntry> =
    path === undefined ? new Map() : readConfigFile(path, sources.folder);

  const settings: Partial<Record<OptionKey, unknown>> = {};
  const origins = new Map<OptionKey, string>();
  for (const key of OPTION_KEYS) {
    // Checked one by one, so that a wrong value is reported even where a stronger source hides it.
    const written = [...writtenValues(key, sources, variables, file, path ?? '')].map((entry) => ({
      value: checked(key, entry),
      origin: entry.origin,
    }));
    const strongest = written[0];
    settings[key] = strongest === undefined ? OPTIONS[key].default : strongest.value;
    origins.set(key, strongest === undefined ? 'default' : strongest.origin);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each value has passed its row's schema or is its default
  const resolved = Object.freeze(settings) as Settings;
  const nameOf = (key: OptionKey): string => nameIn(origins, key);
  checkTokens(resolved, nameOf);
  checkPusher(resolved, nameOf);
  checkAdmin(resolved, nameOf);
  const configPath = path === undefined ? undefined : resolve(sources.folder, path);
  return { settings: resolved, origins, configPath, tls: readTls(resolved, nameOf), notices };
}

/** An option as the user has written it. */
function nameIn(origins: ReadonlyMap<OptionKey, string>, key: OptionKey): string {
  const origin = origins.get(key) ?? 'default';
  return origin.startsWith('line ') ? `${key} (${origin})` : origin;
}

function* writtenValues(
  key: OptionKey,
  sources: ConfigSources,
  variables: ReadonlyMap<string, string>,
  file: ReadonlyMap<OptionKey, FileEntry>,
  path: string,
): Generator<Written> {
  const { folder } = sources;
  const flag = sources.flags[key];
  if (flag !== undefined) {
    const name = key === 'app' ? 'The application' : flagOf(key);
    const origin = key === 'app' ? 'argument' : flagOf(key);
    const value = typeof flag === 'string' ? OPTIONS[key].fromText(flag) : flag;
    yield { value, nameOf: (steps) => name + pathText(steps), origin, folder };
  }
  const variable = variables.get(variableOf(key));
  if (variable !== undefined) {
    const name = variableOf(key);
    const value = OPTIONS[key].fromText(variable);
    yield { value, nameOf: (steps) => name + pathText(steps), origin: name, folder };
  }
  const entry = file.get(key);
  if (entry !== undefined) {
    const nameOf = (steps: ValuePath): string =>
      `${key}${pathText(steps)} (line ${entry.lineAt(steps)} of ${path})`;
    const origin = `line ${entry.line} of ${path}`;
    yield { value: entry.value, nameOf, origin, folder: dirname(resolve(folder, path)) };
  }
}

function checked(key: OptionKey, written: Written): unknown {
  const option: Option<OptionValue> = OPTIONS[key];
  const result = written.value === null ? undefined : option.schema.safeParse(written.value);
  if (result?.success !== true) {
    throw valueError(option, written, result?.error.issues[0]);
  }
  return option.inFolder !== undefined && typeof result.data === 'string'
    ? option.inFolder(result.data, written.folder)
    : result.data;
}
