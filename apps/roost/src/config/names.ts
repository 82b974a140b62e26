export const ENVIRONMENT_PREFIX = 'ROOST_';

/** Names the configuration file, as `--config` does. */
export const CONFIG_VARIABLE = `${ENVIRONMENT_PREFIX}CONFIG`;

/** `plain.clientPublish` → `--plain-client-publish`; the application is the one argument. */
export function flagOf(key: string): string {
  return key === 'app' ? '[app.js]' : `--${words(key).join('-')}`;
}

/** `plain.clientPublish` → `ROOST_PLAIN_CLIENT_PUBLISH`. */
export function variableOf(key: string): string {
  return ENVIRONMENT_PREFIX + words(key).join('_').toUpperCase();
}

function words(key: string): string[] {
  return key.split(/\.|(?=[A-Z])/).map((word) => word.toLowerCase());
}
