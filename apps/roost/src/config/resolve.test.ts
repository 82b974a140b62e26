import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OPTION_KEYS, OPTIONS } from './options.ts';
import { resolveConfig } from './resolve.ts';
import type { ConfigSources, ResolvedConfig } from './resolve.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Written extends Partial<Omit<ConfigSources, 'folder'>> {
  /** The text of roost.yaml. */
  readonly file?: string;
}

function resolved({ file, ...sources }: Written): ResolvedConfig {
  if (file !== undefined) writeFileSync(join(folder, 'roost.yaml'), file);
  return resolveConfig({
    flags: {},
    environment: {},
    configPath: file === undefined ? undefined : 'roost.yaml',
    folder,
    ...sources,
  });
}

function messageOf(written: Written): string {
  try {
    resolved(written);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('nothing was wrong');
}

describe('configuration', () => {
  it('is the defaults when nothing is written', () => {
    const { settings, origins } = resolved({});
    for (const key of OPTION_KEYS) {
      expect(settings[key]).toBe(OPTIONS[key].default);
      expect(origins.get(key)).toBe('default');
    }
  });

  it('takes a flag before a variable, a variable before the file, the file before the default', () => {
    const file = 'port: 3\nworkers: 3\nmaxConnections: 3\n';
    const environment = { ROOST_PORT: '2', ROOST_WORKERS: '2' };
    const { settings, origins } = resolved({ flags: { port: '1' }, environment, file });
    expect([settings.port, settings.workers, settings.maxConnections, settings.backlog]).toEqual([
      1, 2, 3, 4096,
    ]);
    expect(origins.get('port')).toBe('--port');
    expect(origins.get('workers')).toBe('ROOST_WORKERS');
    expect(origins.get('maxConnections')).toBe('line 3 of roost.yaml');
    expect(origins.get('backlog')).toBe('default');
  });

  it('names a nested option alike everywhere', () => {
    expect(resolved({ flags: { 'plain.clientPublish': true } }).settings['plain.clientPublish']).toBe(true);
    const environment = { ROOST_PLAIN_CLIENT_PUBLISH: 'true' };
    expect(resolved({ environment }).settings['plain.clientPublish']).toBe(true);
    expect(resolved({ file: 'plain:\n  clientPublish: true\n' }).settings['plain.clientPublish']).toBe(true);
  });

  it('lets a flag turn off what the environment turned on', () => {
    const environment = { ROOST_BORROW_MESSAGES: 'true' };
    expect(resolved({ flags: { borrowMessages: false }, environment }).settings.borrowMessages).toBe(false);
  });

  it('reads the file that ROOST_CONFIG names, and JSON as YAML', () => {
    writeFileSync(join(folder, 'roost.json'), '{ "port": 9000, "api": { "maxBodyBytes": 4096 } }');
    const { settings } = resolved({ environment: { ROOST_CONFIG: 'roost.json' } });
    expect([settings.port, settings['api.maxBodyBytes']]).toEqual([9000, 4096]);
  });

  it('counts the path of the application from where it was written', () => {
    expect(resolved({ flags: { app: 'chat.js' } }).settings.app).toBe(join(folder, 'chat.js'));
    writeFileSync(join(folder, 'far.yaml'), 'app: ./apps/chat.js\n');
    const { settings } = resolveConfig({
      flags: {},
      environment: {},
      configPath: join(folder, 'far.yaml'),
      folder: '/',
    });
    expect(settings.app).toBe(join(folder, 'apps/chat.js'));
  });

  it('takes an empty variable as left out, as container tools pass it', () => {
    const { settings, origins } = resolved({ environment: { ROOST_REDIS_URL: '', ROOST_CONFIG: '' } });
    expect(settings.redisUrl).toBeNull();
    expect(origins.get('redisUrl')).toBe('default');
  });

  it('takes a file of comments and empty groups as empty', () => {
    expect(resolved({ file: '# port: 1\n' }).settings.port).toBe(8080);
    expect(resolved({ file: 'plain:\n  # clientPublish: true\n' }).settings['plain.clientPublish']).toBe(
      false,
    );
  });

  it('takes a list with commas from flags and variables, and as a list from the file', () => {
    const expected = ['10.0.0.0/8', '::1', '2001:db8::/32'];
    const text = ' 10.0.0.0/8,::1, 2001:db8::/32 ';
    expect(resolved({ flags: { trustedProxies: text } }).settings.trustedProxies).toEqual(expected);
    const environment = { ROOST_TRUSTED_PROXIES: text };
    expect(resolved({ environment }).settings.trustedProxies).toEqual(expected);
    const block = 'trustedProxies:\n  - 10.0.0.0/8\n  - ::1\n  - 2001:db8::/32\n';
    expect(resolved({ file: block }).settings.trustedProxies).toEqual(expected);
    const flow = 'trustedProxies: [10.0.0.0/8, "::1", 2001:db8::/32]\n';
    expect(resolved({ file: flow }).settings.trustedProxies).toEqual(expected);
    // A flag can empty what the environment fills.
    expect(resolved({ flags: { trustedProxies: '' }, environment }).settings.trustedProxies).toEqual([]);
  });

  it('takes fractions only where a limit is measured so', () => {
    expect(resolved({ flags: { broadcastSliceMs: '0.5' } }).settings.broadcastSliceMs).toBe(0.5);
    expect(messageOf({ flags: { heartbeatMs: '1000.5' } })).toContain('an integer from 1000 to 86400000 ms');
  });
});

describe('a configuration error', () => {
  it.each<[string, Written, string]>([
    [
      'a variable out of its kind',
      { environment: { ROOST_WORKERS: 'auto8' } },
      'ROOST_WORKERS must be an integer from 1 to 1024, got "auto8". Leave it out to use one worker per CPU.',
    ],
    [
      'a flag out of its range',
      { flags: { port: '70000' } },
      '--port must be an integer from 0 to 65535, got 70000. Leave it out for the default of 8080.',
    ],
    [
      'a key of the file, with its line',
      { file: '# farm\n\nmaxMessageBytes: lots\n' },
      'maxMessageBytes (line 3 of roost.yaml) must be an integer from 125 to 268435456 bytes, got "lots". Leave it out for the default of 65536 bytes.',
    ],
    [
      'a nested key of the file',
      { file: 'plain:\n  clientPublish: 1\n' },
      'plain.clientPublish (line 2 of roost.yaml) must be true or false, got 1.',
    ],
    [
      'a number in quotes',
      { file: 'port: "8080"\n' },
      'port (line 1 of roost.yaml) must be an integer from 0 to 65535, got "8080". Leave it out for the default of 8080.',
    ],
    [
      'a key without a value',
      { file: 'port:\n' },
      'port (line 1 of roost.yaml) must be an integer from 0 to 65535, got null. Leave it out for the default of 8080.',
    ],
    [
      'a wrong word',
      { flags: { slowConsumerPolicy: 'kill' } },
      '--slow-consumer-policy must be "close" or "drop", got "kill". Leave it out for the default of close.',
    ],
    [
      'a host name',
      { flags: { host: 'localhost' } },
      '--host must be a numeric IPv4 or IPv6 address, got "localhost". Leave it out for the default of 0.0.0.0.',
    ],
    [
      'one element of a list',
      { environment: { ROOST_TRUSTED_PROXIES: '10.0.0.0/8,10.0.0.0/33' } },
      'ROOST_TRUSTED_PROXIES must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got "10.0.0.0/33". Leave it out to trust none.',
    ],
    [
      'a comma too many',
      { flags: { trustedProxies: '10.0.0.0/8,' } },
      '--trusted-proxies must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got "". Leave it out to trust none.',
    ],
    [
      'an element of a list in the file',
      { file: 'trustedProxies:\n  - ::1\n  - 8\n' },
      'trustedProxies (line 1 of roost.yaml) must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got 8. Leave it out to trust none.',
    ],
    [
      'one text where the file needs a list',
      { file: 'trustedProxies: 10.0.0.0/8\n' },
      'trustedProxies (line 1 of roost.yaml) must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got "10.0.0.0/8". Leave it out to trust none.',
    ],
    [
      'a list that is too long',
      { flags: { trustedProxies: Array.from({ length: 1025 }, () => '::1').join(',') } },
      '--trusted-proxies must be a list of at most 1024 addresses and CIDR blocks such as 10.0.0.0/8, got 1025. Leave it out to trust none.',
    ],
    [
      'a list where there must be none',
      { file: 'port: [1, 2]\n' },
      'port (line 1 of roost.yaml) must be an integer from 0 to 65535, got [1,2]. Leave it out for the default of 8080.',
    ],
    [
      'a secret, which it does not show',
      { environment: { ROOST_REDIS_URL: 'http://:hunter2@x' } },
      'ROOST_REDIS_URL must be a redis://, rediss://, unix:// or redis+sentinel:// URL, with user and password percent-encoded, got a value of 17 characters, not shown here: it begins with none of redis://, rediss://, redis+sentinel://, rediss+sentinel:// and unix://. Leave it out to use the embedded broker, whose broadcasts stay within this farm.',
    ],
    [
      'an unknown key',
      { file: 'port: 1\nworkres: 2\n' },
      'workres (line 2 of roost.yaml) is not a setting. Did you mean workers?',
    ],
    [
      'an unknown key of a group',
      { file: 'plain:\n  clientPublsh: true\n' },
      'plain.clientPublsh (line 2 of roost.yaml) is not a setting. Did you mean clientPublish in the group plain?',
    ],
    [
      'a group that is none',
      { file: 'api: yes please\n' },
      'api (line 1 of roost.yaml) must be a group of settings: key, maxBodyBytes, maxBroadcastChannels.',
    ],
    ['a list', { file: '- port\n' }, 'roost.yaml must hold settings such as "port: 8080", one per line.'],
    [
      'an absent file',
      { configPath: 'absent.yaml' },
      'The configuration file absent.yaml cannot be read: there is no such file.',
    ],
    [
      'a key written twice',
      { file: 'plain:\n  clientPublish: true\nplain.clientPublish: false\n' },
      'plain.clientPublish (line 3 of roost.yaml) is set twice.',
    ],
    ['a setting twice', { file: 'port: 1\nport: 2\n' }, 'port (line 2 of roost.yaml) is set twice.'],
    [
      'a group twice',
      { file: 'plain:\n  clientPublish: true\nplain: {}\n' },
      'plain (line 3 of roost.yaml) is there twice.',
    ],
    [
      'a secret of another kind, which it does not show',
      { file: 'api: { key: 12345678 }\n' },
      'api.key (line 1 of roost.yaml) must be 1 to 256 visible ASCII characters without spaces, got a number, not shown here. Leave it out to have one generated at each start and logged.',
    ],
    [
      'a secret in a list, which it does not show',
      { file: 'api: { key: [hunter2] }\n' },
      'api.key (line 1 of roost.yaml) must be 1 to 256 visible ASCII characters without spaces, got a list, not shown here. Leave it out to have one generated at each start and logged.',
    ],
  ])('is one line: %s', (_, written, message) => {
    expect(messageOf(written)).toBe(message);
  });

  it('tells the line of broken YAML', () => {
    expect(messageOf({ file: 'port: 1\nhost: [\n' })).toMatch(
      /^Line \d of roost\.yaml is not valid YAML: [^\n]+\.$/,
    );
  });

  it('is reported for a value that a stronger source hides', () => {
    expect(messageOf({ flags: { port: '1' }, environment: { ROOST_PORT: 'x' } })).toContain('ROOST_PORT');
  });
});
