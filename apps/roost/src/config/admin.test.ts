import { describe, expect, it } from 'vitest';
import { resolveConfig } from './resolve.ts';

function resolved(environment: Readonly<Record<string, string>>): unknown {
  return resolveConfig({ flags: {}, configPath: undefined, environment, folder: '/srv' }).settings;
}

describe('an admin listener that others can reach', () => {
  it.each(['0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1'])('on %s needs a token', (host) => {
    expect(() => resolved({ ROOST_ADMIN_HOST: host })).toThrow(
      `ROOST_ADMIN_HOST must be an address of this machine alone, such as 127.0.0.1, where admin.token is not set, got "${host}". Set admin.token, or leave it out for the default of 127.0.0.1.`,
    );
  });

  it('may be there with one, or be off', () => {
    const token = 'sixteen-or-more-characters';
    expect(resolved({ ROOST_ADMIN_HOST: '0.0.0.0', ROOST_ADMIN_TOKEN: token })).toMatchObject({
      'admin.host': '0.0.0.0',
      'admin.token': token,
    });
    expect(resolved({ ROOST_ADMIN_HOST: '0.0.0.0', ROOST_ADMIN_PORT: 'off' })).toMatchObject({
      'admin.port': 'off',
    });
  });

  it('has a token that cannot be guessed soon, and is not shown', () => {
    expect(() => resolved({ ROOST_ADMIN_TOKEN: 'too short' })).toThrow(
      'ROOST_ADMIN_TOKEN must be 16 to 256 visible ASCII characters without spaces, got a value of 9 characters, not shown here.',
    );
  });
});

describe('the admin port', () => {
  it.each(['on', '-1', '65536', '8081.5', '', 'OFF'])('may not be %j', (port) => {
    const environment = { ROOST_ADMIN_PORT: port };
    // An empty variable counts as left out.
    if (port === '') expect(resolved(environment)).toMatchObject({ 'admin.port': 8081 });
    else expect(() => resolved(environment)).toThrow('must be an integer from 0 to 65535, or off');
  });

  it('is not what Kubernetes sets for a Service of the name roost-admin', () => {
    expect(resolved({ ROOST_ADMIN_PORT: 'tcp://10.96.0.5:8081' })).toMatchObject({ 'admin.port': 8081 });
  });
});
