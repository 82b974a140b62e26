import { isLoopback } from '../admin/host.ts';
import { ConfigError } from './errors.ts';
import type { OptionKey, Settings } from './options.ts';

/** What others can reach needs a token that others do not know. Throws a ConfigError; `nameOf` names an option as it was written. */
export function checkAdmin(settings: Settings, nameOf: (key: OptionKey) => string): void {
  const { 'admin.host': host, 'admin.port': port, 'admin.token': token } = settings;
  if (port === 'off' || token !== null || isLoopback(host)) return;
  throw new ConfigError(
    'CONFIG_ERR_VALUE',
    `${nameOf('admin.host')} must be an address of this machine alone, such as 127.0.0.1, where admin.token is not set, got ${JSON.stringify(host)}. Set admin.token, or leave it out for the default of 127.0.0.1.`,
  );
}
