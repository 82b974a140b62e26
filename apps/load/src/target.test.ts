import { describe, expect, it } from 'vitest';
import { resolveTarget, type TargetOptions } from './target.ts';

const NONE: TargetOptions = { channels: [], headers: [], caFile: null, isInsecure: false, isPhantom: false };

describe('resolveTarget', () => {
  it('adds channels to the query and keeps the placeholder', async () => {
    const channels = ['news', 'user {i}&x'];
    expect(await resolveTarget('ws://127.0.0.1:8080/room/{i}?a=1', { ...NONE, channels })).toEqual({
      address: '127.0.0.1',
      port: 8080,
      authority: '127.0.0.1:8080',
      path: '/room/{i}?a=1&channel=news&channel=user%20{i}%26x',
      headers: [],
      tls: null,
    });
  });

  it('resolves names, reads IPv6 addresses and knows the default ports', async () => {
    expect((await resolveTarget('ws://localhost/', NONE)).address).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(await resolveTarget('ws://[::1]/', NONE)).toMatchObject({
      address: '::1',
      port: 80,
      authority: '[::1]',
    });
    expect(await resolveTarget('wss://localhost/', NONE)).toMatchObject({
      port: 443,
      tls: { servername: 'localhost', ca: null, isInsecure: false },
    });
    expect(await resolveTarget('wss://127.0.0.1:8443/', { ...NONE, isInsecure: true })).toMatchObject({
      port: 8443,
      tls: { servername: '', isInsecure: true },
    });
  });

  it.each([
    ['127.0.0.1:80', NONE],
    ['http://127.0.0.1/', NONE],
    ['ws://127.0.0.1/', { ...NONE, headers: ['no header'] }],
    ['ws://127.0.0.1/', { ...NONE, headers: ['X: a\r\nY: b'] }],
    ['wss://127.0.0.1/', { ...NONE, caFile: '/there/is/none.pem' }],
  ])('refuses %s %j', async (url, options) => {
    await expect(resolveTarget(url, options)).rejects.toMatchObject({ code: 'LOAD_ERR_OPTION' });
  });
});
