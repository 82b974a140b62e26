import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../fixtures/command-line.ts';
import type { Run } from '../fixtures/command-line.ts';
import type { PusherOptions } from '../worker/dialects/pusher/options.ts';
import { pusherOptions } from './pusher.ts';
import { resolveConfig } from './resolve.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-pusher-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SINGLE = {
  ROOST_PUSHER_APP_ID: '1',
  ROOST_PUSHER_APP_KEY: 'app-key',
  ROOST_PUSHER_APP_SECRET: 'app-secret',
};

interface Written {
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: string;
  readonly flags?: readonly string[];
}

function check({ environment = {}, file = '', flags = [] }: Written): Promise<Run> {
  writeFileSync(join(folder, 'roost.yaml'), file);
  return run(['check-config', '--config', join(folder, 'roost.yaml'), ...flags], environment, folder);
}

function options({ environment = {}, file = '' }: Written): PusherOptions | null {
  writeFileSync(join(folder, 'roost.yaml'), file);
  return pusherOptions(resolveConfig({ flags: {}, environment, configPath: 'roost.yaml', folder }).settings);
}

const DEFAULTS = {
  isEnabled: true,
  isDefault: false,
  clientEvents: false,
  subscriptionCount: false,
  authorizationTimeoutMs: null,
  maxConnections: 0,
  maxPresenceMembers: 100,
  maxMemberInfoBytes: 1024,
  maxEventBytes: 10_240,
  maxClientEventBytes: 10_240,
  clientEventRate: 10,
  cacheMs: 1_800_000,
  webhooks: [],
};

describe('the apps of the Pusher protocol', () => {
  it('are none unless said', () => {
    expect(options({})).toBeNull();
    expect(options({ file: 'pusher:\n  clientEvents: true\n' })).toBeNull();
  });

  it('may be one of three variables', () => {
    expect(options({ environment: SINGLE })).toEqual({
      apps: [{ id: '1', key: 'app-key', secret: 'app-secret', ...DEFAULTS }],
      pathPrefix: '',
      activityTimeoutSeconds: 50,
      drainReturnsPerSecond: 100,
      maxChannelCharacters: 164,
    });
  });

  it('are those of a list, each with settings of its own or those of all', () => {
    const file = `
heartbeatMs: 30000
pusher:
  clientEvents: true
  authorizedOnly: true
  maxEventBytes: 20000
  defaultApp: orders
  pathPrefix: /ws
  apps:
    - { id: orders, key: k1, secret: s1 }
    - id: 7
      key: k2
      secret: s2
      enabled: false
      clientEvents: false
      authorizedOnly: false
      maxEventBytes: 30000
      webhooks:
        - url: https://example.com/hook
          event_types: [channel_occupied, member_added]
          filter: { channel_name_starts_with: presence- }
          headers: { Authorization: Bearer abc }
  webhooks:
    - url: http://10.0.0.1/all
`;
    const all = { ...DEFAULTS, clientEvents: true, maxEventBytes: 20_000, authorizationTimeoutMs: 30_000 };
    expect(options({ file })).toEqual({
      apps: [
        {
          ...all,
          id: 'orders',
          key: 'k1',
          secret: 's1',
          isDefault: true,
          webhooks: [
            {
              url: 'http://10.0.0.1/all',
              eventTypes: [],
              channelNameStartsWith: '',
              channelNameEndsWith: '',
              headers: {},
            },
          ],
        },
        {
          ...all,
          id: '7',
          key: 'k2',
          secret: 's2',
          isEnabled: false,
          clientEvents: false,
          authorizationTimeoutMs: null,
          maxEventBytes: 30_000,
          webhooks: [
            {
              url: 'https://example.com/hook',
              eventTypes: ['channel_occupied', 'member_added'],
              channelNameStartsWith: 'presence-',
              channelNameEndsWith: '',
              headers: { Authorization: 'Bearer abc' },
            },
          ],
        },
      ],
      pathPrefix: '/ws',
      activityTimeoutSeconds: 25,
      drainReturnsPerSecond: 100,
      maxChannelCharacters: 164,
    });
  });

  it('may be JSON in a variable, beside the one of three variables', () => {
    const environment = { ...SINGLE, ROOST_PUSHER_APPS: '[{"id":"2","key":"k2","secret":"s2"}]' };
    expect(options({ environment })?.apps.map(({ id }) => id)).toEqual(['2', '1']);
  });

  it('are shown by check-config without their secrets and the headers of their webhooks', async () => {
    const file = `pusher:
  apps:
    - { id: a, key: k1, secret: hush1, webhooks: [{ url: "http://h/", headers: { X-Key: hush2 } }] }
`;
    const { printed, exitCode } = await check({
      file,
      environment: { ...SINGLE, ROOST_PUSHER_APP_SECRET: 'hush3' },
    });
    expect(exitCode).toBe(0);
    expect(printed).not.toContain('hush');
    expect(printed).toMatch(
      /^ {2}# apps: \[ \{ id: a, key: k1, secret: "\*{8}", webhooks: \[ \{ url: http:\/\/h\/, headers: "\*{8}" \} \] \} \] \(line 2 of .*\)$/m,
    );
    expect(printed).toMatch(/^ {2}appKey: app-key +# ROOST_PUSHER_APP_KEY$/m);
    expect(printed).toMatch(/^ {2}# appSecret: \*{8} \(ROOST_PUSHER_APP_SECRET\)$/m);
    expect(printed).toMatch(/^ {2}webhooks: \[\] +# default$/m);
  });

  it('are shown by check-config --json in the same way', async () => {
    const file = `pusher:
  apps:
    - { id: a, key: k1, secret: hush1, webhooks: [{ url: "http://h/", headers: { X-Key: hush2 } }] }
`;
    const { printed } = await check({
      file,
      flags: ['--json', '--pusher-app-id=1', '--pusher-app-key=k'],
      environment: { ROOST_PUSHER_APP_SECRET: 'hush3' },
    });
    expect(printed).not.toContain('hush');
    const webhook = { url: 'http://h/', headers: '********' };
    expect(JSON.parse(printed)).toMatchObject({
      'pusher.apps': {
        value: [{ id: 'a', key: 'k1', secret: '********', webhooks: [webhook] }],
        origin: expect.stringMatching(/^line 2 of /),
      },
      'pusher.appSecret': { value: '********', origin: 'ROOST_PUSHER_APP_SECRET' },
      'pusher.webhooks': { value: [], origin: 'default' },
      'api.key': { value: null, origin: 'default' },
    });
  });
});

const app = (more: string): string => `pusher:\n  apps:\n    - id: a\n      key: k\n      secret: s\n${more}`;

/** What is wrong is named by its place, with what is allowed; the exit code is 78. */
describe('an app is refused', () => {
  it.each<[string, Written, string]>([
    [
      'without a secret',
      { file: 'pusher:\n  apps:\n    - id: a\n      key: k\n' },
      'pusher.apps[0].secret (line 3 of FILE) is missing: it must be 1 to 256 visible ASCII characters without spaces.',
    ],
    [
      'with a setting that there is not',
      { file: app('      clientEvent: true\n') },
      'pusher.apps[0].clientEvent (line 6 of FILE) is not a setting. Did you mean clientEvents?',
    ],
    [
      'with a number that is too large, in the second app',
      { file: app('    - { id: b, key: l, secret: t, clientEventRate: 5000 }\n') },
      'pusher.apps[1].clientEventRate (line 6 of FILE) must be an integer from 1 to 1000 events/s, got 5000. Leave it out for the default of 10 events/s.',
    ],
    [
      'with a secret that is none, which is not shown',
      { file: 'pusher:\n  apps: [{ id: a, key: k, secret: "not so secret" }]\n' },
      'pusher.apps[0].secret (line 2 of FILE) must be 1 to 256 visible ASCII characters without spaces, got a value of 13 characters, not shown here.',
    ],
    [
      'with a key that would not fit into a path',
      { file: 'pusher:\n  apps: [{ id: a, key: a/b, secret: s }]\n' },
      'pusher.apps[0].key (line 2 of FILE) must be 1 to 64 letters, digits and . _ ~ -, got "a/b".',
    ],
    [
      'when it is a text',
      { file: 'pusher:\n  apps: [app-id]\n' },
      'pusher.apps[0] (line 2 of FILE) must be a group of settings: id, key, secret, enabled, clientEvents,',
    ],
    [
      'when there is no list',
      { file: 'pusher:\n  apps: { id: a }\n' },
      'pusher.apps (line 2 of FILE) must be a list of at most 1000 apps, got a map, not shown here.',
    ],
    [
      'when the variable is not JSON',
      { environment: { ROOST_PUSHER_APPS: 'app-id:app-key:app-secret' } },
      'ROOST_PUSHER_APPS must be a list of at most 1000 apps, got a value of 25 characters, not shown here. In a flag or a variable it must be valid JSON.',
    ],
    [
      'in a variable, by its place in it',
      { environment: { ROOST_PUSHER_APPS: '[{"id":"a","key":"k","secret":"s","cacheMs":0}]' } },
      'ROOST_PUSHER_APPS[0].cacheMs must be an integer from 1000 to 604800000 ms, got 0.',
    ],
    [
      'in a flag, by its place in it',
      { flags: ['--pusher-apps=[{}]'] },
      '--pusher-apps[0].id is missing: it must be 1 to 48 letters, digits and . _ -.',
    ],
    [
      'with a webhook that is no URL',
      { file: app('      webhooks:\n        - url: ftp://example.com\n') },
      'pusher.apps[0].webhooks[0].url (line 7 of FILE) must be an http or https URL without user and password, got "ftp://example.com".',
    ],
    [
      'with a webhook of events that there are not',
      {
        file: app(
          '      webhooks:\n        - url: http://h/\n          event_types: [client_event, occupied]\n',
        ),
      },
      'pusher.apps[0].webhooks[0].event_types (line 8 of FILE) must be a list of at most 7 of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss, subscription_count, got "occupied".',
    ],
    [
      'with a filter that there is not',
      {
        file: app(
          '      webhooks:\n        - url: http://h/\n          filter: { channel_name_start_with: a }\n',
        ),
      },
      'pusher.apps[0].webhooks[0].filter.channel_name_start_with (line 8 of FILE) is not a setting. Did you mean channel_name_starts_with?',
    ],
    [
      'with a header of its own request',
      { file: app('      webhooks: [{ url: "http://h/", headers: { X-Pusher-Key: hush } }]\n') },
      'pusher.apps[0].webhooks[0].headers (line 6 of FILE) must be at most 32 names of headers with their values in visible ASCII, without Content-…, X-Pusher-…, Host and those of the connection, got a map, not shown here.',
    ],
    [
      'with a header that would change where its request ends',
      {
        file: app('      webhooks: [{ url: "http://h/", headers: { Transfer-Encoding: chunked } }]\n'),
      },
      'pusher.apps[0].webhooks[0].headers (line 6 of FILE) must be at most 32 names of headers',
    ],
    [
      'with the id of another',
      { file: app('    - { id: a, key: l, secret: t }\n') },
      'pusher.apps (line 2 of FILE) must have apps with different ids and keys, got the id "a" of app 2 twice.',
    ],
    [
      'with the key of the single one',
      { file: 'pusher:\n  apps: [{ id: a, key: app-key, secret: s }]\n', environment: SINGLE },
      'pusher.apps (line 2 of FILE) must have apps with different ids and keys, got the key "app-key" of app 2 twice.',
    ],
    [
      'when one of three variables is missing',
      { environment: { ROOST_PUSHER_APP_ID: '1', ROOST_PUSHER_APP_KEY: 'k' } },
      'ROOST_PUSHER_APP_ID needs pusher.appSecret as well, got none. Set pusher.appId, pusher.appKey and pusher.appSecret, or none of them.',
    ],
    [
      'as the default when there is none with the id',
      { environment: { ...SINGLE, ROOST_PUSHER_DEFAULT_APP: '2' } },
      'ROOST_PUSHER_DEFAULT_APP must be the id of an app, got "2".',
    ],
    ['with a setting twice', { file: app('      id: b\n') }, 'pusher.apps sets id twice (line 6 of FILE).'],
    [
      'when aliases make it endless',
      {
        file: `x: &a [1]\npusher:\n  apps: &l [${'*l, '.repeat(2)}]\n`,
      },
      'x (line 1 of FILE) is not a setting.',
    ],
  ])('%s', async (_, written, message) => {
    const { errors, printed, exitCode } = await check(written);
    expect(errors.replaceAll(join(folder, 'roost.yaml'), 'FILE')).toContain(message);
    expect(errors.trimEnd().split('\n')).toHaveLength(1);
    expect(errors).not.toMatch(/hush|so secret/);
    expect({ printed, exitCode }).toEqual({ printed: '', exitCode: 78 });
  });

  it('when it is larger than all apps can be, with aliases followed', async () => {
    const wide = Array.from({ length: 40 }, () => '*a').join(', ');
    const file = `pusher:\n  apps:\n    - &a [${'1, '.repeat(1000)}1]\n    - [${wide}]\n`;
    expect((await check({ file })).errors).toBe('pusher.apps has more in it than it can have.\n');
  });
});
