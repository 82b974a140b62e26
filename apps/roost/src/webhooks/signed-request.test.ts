import Pusher from 'pusher';
import { describe, expect, it } from 'vitest';
import { signedRequest } from './signed-request.ts';

const APP = { key: 'roost-key', secret: 'roost-secret' };
const OCCUPIED = '{"name":"channel_occupied","channel":"presence-room"}';

describe('a signed request', () => {
  it('has the bytes and the signature of the protocol', () => {
    const { body, headers } = signedRequest(APP, [OCCUPIED], 1_700_000_000_000);
    expect(body.toString()).toBe(
      '{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"presence-room"}]}',
    );
    expect(headers).toEqual({
      'Content-Type': 'application/json',
      'Content-Length': '90',
      'X-Pusher-Key': 'roost-key',
      'X-Pusher-Signature': '2a02da84f36963f3699f82870c9fcb00811cce2390aa79fc62d58d8fb6e0de1d',
    });
  });

  it('is valid to the SDK, also with several events in other scripts', () => {
    const name = '{"name":"member_added","channel":"presence-room","user_id":"Ада"}';
    const { body, headers } = signedRequest(APP, [OCCUPIED, name], 1_700_000_000_000);
    const pusher = new Pusher({ appId: '1', ...APP, host: '127.0.0.1' });
    const lowerCase = Object.fromEntries(
      Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value]),
    );
    const webhook = pusher.webhook({ headers: lowerCase, rawBody: body.toString() });
    expect(webhook.isValid()).toBe(true);
    expect(webhook.getEvents()).toEqual([JSON.parse(OCCUPIED), JSON.parse(name)]);
    expect(webhook.getTime()).toEqual(new Date(1_700_000_000_000));
  });
});
