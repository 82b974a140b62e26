import type { OptionKey } from '../config/options.ts';
import { flagOf, variableOf } from '../config/names.ts';
import type { Fix } from './finding.ts';

/** Of the whole host; infra/sysctl.conf makes it last. */
export function sysctl(name: string, ...values: readonly number[]): Fix {
  const value = values.length === 1 ? String(values[0]) : `"${values.join(' ')}"`;
  return { line: `sysctl -w ${name}=${value}`, where: 'and in /etc/sysctl.d, to last' };
}

/** As {@link sysctl}, for what a container has of its own. */
export function sysctlOfNetwork(name: string, ...values: readonly number[]): Fix[] {
  return [
    sysctl(name, ...values),
    { line: `sysctls: { ${name}: '${values.join(' ')}' }`, where: 'in the service of a compose file' },
  ];
}

/** An option of the server. */
export function option(key: OptionKey, value: number): Fix {
  return { line: `${flagOf(key)} ${value}`, where: `or ${variableOf(key)}=${value}` };
}

/** A command of Redis. */
export function redisCommand(line: string, where = 'and in redis.conf, to last'): Fix {
  return { line, where };
}

/**
 * A call of redis-cli for the Redis of a URL without credentials. It knows neither the URL of a Unix socket nor that of a Sentinel,
 * of which the first is asked.
 */
export function redisCli(shownUrl: string, words: string): string {
  if (shownUrl.startsWith('/')) return `redis-cli -s ${shownUrl} ${words}`;
  return `redis-cli -u ${shownUrl.replace(/^(rediss?)\+sentinel:\/\/([^,/]+).*$/, '$1://$2')} ${words}`;
}

export function portIsTaken(port: number, flag: string): Fix[] {
  return [
    { line: `ss -ltnp 'sport = :${port}'`, where: `says who has it; or choose another one with ${flag}` },
  ];
}
