import { pathToFileURL } from 'node:url';
import type { TokenOptions } from '../worker/options.ts';
import { parseJwks, parsePublicKey } from '../worker/tokens/key-files.ts';
import { ConfigError } from './errors.ts';
import { isHttpUrl } from './jwks-location.ts';
import type { OptionKey, Settings } from './options.ts';
import { readRegularFile } from './regular-file.ts';

/** As much as is fetched from the URL of `tokens.jwks`. */
const MAX_KEY_FILE_BYTES = 256 * 1024;

const KEY_OPTIONS = ['tokens.secret', 'tokens.publicKey', 'tokens.jwks'] as const;
/** Options that may be taken for a protection. */
const DEPENDENT_OPTIONS = [
  'tokens.issuer',
  'tokens.audience',
  'tokens.publicChannels',
  'tokens.allowAnonymous',
] as const;

/** The options of tokens as workers take them; null without a key. */
export function tokenOptions(settings: Settings): TokenOptions | null {
  const key = keyOf(settings);
  if (key === null) return null;
  return {
    key,
    issuer: settings['tokens.issuer'],
    audience: settings['tokens.audience'],
    clockToleranceSeconds: settings['tokens.clockToleranceSeconds'],
    allowAnonymous: settings['tokens.allowAnonymous'],
    publicChannels: settings['tokens.publicChannels'],
    jwksTimeoutMs: settings['tokens.jwksTimeoutMs'],
    jwksCacheMs: settings['tokens.jwksCacheMs'],
    jwksStaleMs: settings['tokens.jwksStaleMs'],
    jwksCooldownMs: settings['tokens.jwksCooldownMs'],
  };
}

function keyOf(settings: Settings): TokenOptions['key'] | null {
  const { 'tokens.secret': secret, 'tokens.publicKey': publicKey, 'tokens.jwks': jwks } = settings;
  if (secret !== null) return { kind: 'secret', secret };
  if (publicKey !== null) return { kind: 'publicKey', url: pathToFileURL(publicKey).href };
  if (jwks === null) return null;
  return { kind: 'jwks', url: isHttpUrl(jwks) ? jwks : pathToFileURL(jwks).href };
}

/**
 * What no option by itself can be wrong in: there is one kind of key, its file can be used, and what protects nothing
 * without a key is not set without one. Throws a ConfigError; `nameOf` names an option as the user has written it.
 */
export function checkTokens(settings: Settings, nameOf: (key: OptionKey) => string): void {
  const [first, second] = KEY_OPTIONS.filter((key) => settings[key] !== null);
  if (first === undefined) {
    for (const key of DEPENDENT_OPTIONS) {
      const value = settings[key];
      if (value === null || value === false || (typeof value === 'object' && value.length === 0)) continue;
      throw new ConfigError(
        'CONFIG_ERR_VALUE',
        `${nameOf(key)} needs a key to verify tokens with, got none. Set tokens.secret, tokens.publicKey or tokens.jwks, or leave it out.`,
      );
    }
    return;
  }
  if (second !== undefined) {
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf(second)} must be left out when ${nameOf(first)} is set: tokens are verified with one kind of key.`,
    );
  }
  const { 'tokens.publicKey': publicKey, 'tokens.jwks': jwks } = settings;
  if (publicKey !== null) checkFile('tokens.publicKey', publicKey, parsePublicKey, nameOf);
  if (jwks !== null && !isHttpUrl(jwks)) checkFile('tokens.jwks', jwks, parseJwks, nameOf);
}

function checkFile(
  key: OptionKey,
  path: string,
  parse: (text: string) => unknown,
  nameOf: (key: OptionKey) => string,
): void {
  try {
    parse(readRegularFile(path, MAX_KEY_FILE_BYTES).toString());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      `${nameOf(key)} names ${path}, which cannot be used: ${reason}.`,
    );
  }
}
