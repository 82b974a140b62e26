import type { TlsOptions } from '@roost/farm';
import { ConfigError } from './errors.ts';
import type { OptionKey, Settings } from './options.ts';
import { readRegularFile } from './regular-file.ts';

/** A certificate chain has some kilobytes; a path that leads to something else is not read to its end. */
const MAX_PEM_BYTES = 1024 * 1024;

/**
 * Certificate and private key as their files hold them now; undefined without TLS. The farm checks what is in them.
 * Throws a ConfigError when one of the two is missing or cannot be read; `nameOf` names an option as the user has
 * written it.
 */
export function readTls(
  settings: Settings,
  nameOf: (key: OptionKey) => string = (key) => key,
): TlsOptions | undefined {
  const { 'tls.cert': cert, 'tls.key': key, 'tls.minVersion': minVersion } = settings;
  if (cert === null && key === null) return undefined;
  if (cert === null || key === null) {
    const [given, missing] =
      cert === null ? (['tls.key', 'tls.cert'] as const) : (['tls.cert', 'tls.key'] as const);
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf(given)} needs ${missing} as well, got none. Set both, or leave both out to speak plain HTTP.`,
    );
  }
  return { cert: read('tls.cert', cert, nameOf), key: read('tls.key', key, nameOf), minVersion };
}

function read(option: OptionKey, path: string, nameOf: (key: OptionKey) => string): Buffer {
  try {
    return readRegularFile(path, MAX_PEM_BYTES);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf(option)} must be a readable PEM file, got ${path}: ${reason}.`,
    );
  }
}
