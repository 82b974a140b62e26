import { describe, expect, it } from 'vitest';
import { resolveTarget } from './target.ts';

describe('resolveTarget', () => {
  it('adds channels to the query and keeps the placeholder', async () => {
    expect(await resolveTarget('ws://127.0.0.1:8080/room/{i}?a=1', ['news', 'user {i}&x'])).toEqual({
      address: '127.0.0.1',
      port: 8080,
      authority: '127.0.0.1:8080',
      path: '/room/{i}?a=1&channel=news&channel=user%20{i}%26x',
    });
  });

  it('resolves names, reads IPv6 addresses and knows the default port', async () => {
    expect((await resolveTarget('ws://localhost/', [])).address).toMatch(/^(127\.0\.0\.1|::1)$/);
    expect(await resolveTarget('ws://[::1]/', [])).toMatchObject({
      address: '::1',
      port: 80,
      authority: '[::1]',
    });
  });

  it('refuses URLs that are not ws://', async () => {
    for (const url of ['127.0.0.1:80', 'http://127.0.0.1/', 'wss://127.0.0.1/']) {
      await expect(resolveTarget(url, [])).rejects.toMatchObject({ code: 'LOAD_ERR_OPTION' });
    }
  });
});
