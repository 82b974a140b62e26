import { describe, expect, it } from 'vitest';
import { isRecorded, PusherApps, userIdOf, userOf } from './apps.ts';
import { PUSHER_APP } from './fixtures/pusher-app.ts';

const APPS = new PusherApps([
  { ...PUSHER_APP, id: 'orders', key: 'k1', isDefault: true },
  { ...PUSHER_APP, id: '7', key: 'k2' },
]);

describe('an app', () => {
  it('is found by its key, its id and its place', () => {
    expect(APPS.withKey('k2')?.id).toBe('7');
    expect(APPS.withId('7')?.key).toBe('k2');
    expect(APPS.at(1)?.id).toBe('7');
    expect([APPS.withKey('7'), APPS.withKey('__proto__'), APPS.withId('toString'), APPS.at(2)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['news', 'news', 'orders'],
    ['7/news', 'news', '7'],
    ['7/#server-to-user-7/x', '#server-to-user-7/x', '7'],
    ['#server-to-user-7/x', '#server-to-user-7/x', 'orders'],
    ['orders/news', 'orders/news', 'orders'],
    ['8/news', '8/news', 'orders'],
    ['/news', '/news', 'orders'],
  ])('has of the channel %s of the broker the name %s, and is %s', (channel, name, id) => {
    expect([APPS.clientName(channel), APPS.ownerOf(channel)?.id]).toEqual([name, id]);
  });

  it('has no channels without its prefix when it is not the default', () => {
    const apps = new PusherApps([{ ...PUSHER_APP, id: '7' }]);
    expect([apps.ownerOf('news'), apps.ownerOf('7/news')?.id, apps.clientName('news')]).toEqual([
      undefined,
      '7',
      'news',
    ]);
  });

  it.each([
    ['7/private-a', true],
    ['7/presence-a', true],
    ['7/#server-to-user-1', true],
    ['7/#connections', true],
    ['7/#orders', false],
    ['7/news', false],
    ['private-a', true],
    ['news', false],
  ])('has the channel %s signed: %s', (channel, isSigned) => {
    expect(APPS.isSigned(channel)).toBe(isSigned);
  });

  it.each([
    ['7/news', true],
    ['7/private-a', true],
    ['7/presence-a', false],
    ['7/#server-to-user-1', false],
    ['7/#connections', false],
    ['news', false],
    ['8/news', false],
  ])('tells the subscribers of %s how many they are: %s', (channel, isTold) => {
    const apps = new PusherApps([
      { ...PUSHER_APP, id: '6', isDefault: true },
      { ...PUSHER_APP, id: '7', key: 'k', subscriptionCount: true },
    ]);
    expect(apps.tellsCount(channel)).toBe(isTold);
  });

  it('records what its webhooks want', () => {
    const webhook = { url: 'http://h/', channelNameStartsWith: '', channelNameEndsWith: '', headers: {} };
    const wants = (...webhooks: string[][]): boolean[] => {
      const app = new PusherApps([
        { ...PUSHER_APP, webhooks: webhooks.map((eventTypes) => ({ ...webhook, eventTypes })) },
      ]).at(0);
      if (app === undefined) throw new Error('there is one');
      return [isRecorded(app, 'client_event'), isRecorded(app, 'cache_miss')];
    };
    expect(wants()).toEqual([false, false]);
    expect(wants([])).toEqual([true, true]);
    expect(wants(['cache_miss'])).toEqual([false, true]);
    expect(wants(['cache_miss'], ['client_event'])).toEqual([true, true]);
  });

  it('has users of its own', () => {
    const [orders, seven] = APPS.all;
    if (orders === undefined || seven === undefined) throw new Error('there are two');
    expect([userOf(orders, '7/x'), userOf(seven, 'x')]).toEqual(['orders/7/x', '7/x']);
    expect([userIdOf(seven, '7/x/y'), userIdOf(seven, undefined)]).toEqual(['x/y', undefined]);
  });
});
