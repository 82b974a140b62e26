import type { RecordedEvent } from '@roost/farm';
import { describe, expect, it } from 'vitest';
import { wants, wireEvent } from './wire-event.ts';

const FACTS = { id: '1-0', timeMs: 1_700_000_000_000 };

describe('an event of a webhook', () => {
  it.each<[string, Omit<RecordedEvent, 'id' | 'timeMs' | 'channel'>]>([
    ['{"name":"channel_occupied","channel":"private-a"}', { type: 'channel_occupied' }],
    ['{"name":"channel_vacated","channel":"private-a"}', { type: 'channel_vacated' }],
    ['{"name":"cache_miss","channel":"private-a"}', { type: 'cache_miss' }],
    ['{"name":"member_added","channel":"private-a","user_id":"u1"}', { type: 'member_added', user: 'u1' }],
    [
      '{"name":"member_removed","channel":"private-a","user_id":"u1"}',
      { type: 'member_removed', user: 'u1' },
    ],
    [
      '{"name":"subscription_count","channel":"private-a","subscription_count":42}',
      { type: 'subscription_count', count: 42 },
    ],
    [
      '{"name":"client_event","channel":"private-a","event":"client-typing","data":"{\\"a\\":1}","socket_id":"1.2"}',
      { type: 'client_event', event: 'client-typing', data: '{"a":1}', connection: '1.2' },
    ],
    [
      '{"name":"client_event","channel":"private-a","event":"client-typing","data":"\\"é\\"","socket_id":"1.2","user_id":"u1"}',
      { type: 'client_event', event: 'client-typing', data: '"é"', connection: '1.2', user: 'u1' },
    ],
  ])('is %s', (text, event) => {
    // The channel has the name that the app knows, not that of the broker.
    expect(wireEvent({ ...FACTS, channel: '1/private-a', ...event }, 'private-a')).toBe(text);
  });

  it('is for a webhook that wants its type, and the beginning and end of its channel', () => {
    const webhook = {
      url: 'https://a.example/',
      eventTypes: ['member_added', 'client_event'],
      channelNameStartsWith: 'presence-',
      channelNameEndsWith: '-de',
      headers: {},
    };
    expect(wants(webhook, 'member_added', 'presence-room-de')).toBe(true);
    expect(wants(webhook, 'member_removed', 'presence-room-de')).toBe(false);
    expect(wants(webhook, 'client_event', 'private-room-de')).toBe(false);
    expect(wants(webhook, 'client_event', 'presence-room-fr')).toBe(false);
    // None named: all.
    expect(wants({ ...webhook, eventTypes: [] }, 'member_removed', 'presence-room-de')).toBe(true);
  });
});
