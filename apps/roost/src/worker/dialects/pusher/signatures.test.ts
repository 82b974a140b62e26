import { describe, expect, it } from 'vitest';
import {
  isBodyDigest,
  isChannelSignature,
  isRequestSignature,
  isUserSignature,
  sign,
  signedRequest,
} from './signatures.ts';

/** The app of Pusher's own documentation, and one of ours. */
const PUSHER = { key: '278d425bdf160c739803', secret: '7ad3773142a6692b25b8' };
const OURS = { key: 'roost-key', secret: 'roost-secret' };

describe('the signature of a channel', () => {
  it.each([
    [
      PUSHER,
      '1234.1234',
      'private-foobar',
      undefined,
      '58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4',
    ],
    // Pusher's documentation prints another one, which is that of "Mr. Pusher".
    [
      PUSHER,
      '1234.1234',
      'presence-foobar',
      '{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
      '31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80',
    ],
    [
      OURS,
      '77.88',
      'private-orders',
      undefined,
      'a7adedcd159ccec89b3727314fa8b7cc1c7412d4e3966604a0ba6b9caeeaaf5a',
    ],
    [
      OURS,
      '77.88',
      'presence-room',
      '{"user_id":"u1","user_info":{"name":"Ada"}}',
      '15a2116b626f68ff40e9bb7a99e3b65b37b17479d209b1ee62b55a782e72fad9',
    ],
  ])('of %j for socket %s and %s with %j is %s', (app, socketId, channel, channelData, hex) => {
    const facts = { socketId, channel, channelData };
    expect(isChannelSignature(app, `${app.key}:${hex}`, facts)).toBe(true);
    expect(isChannelSignature({ ...app, secret: `${app.secret}x` }, `${app.key}:${hex}`, facts)).toBe(false);
    expect(isChannelSignature(app, `${app.key}:${hex}`, { ...facts, socketId: `${socketId}1` })).toBe(false);
    expect(isChannelSignature(app, `${app.key}:${hex}`, { ...facts, channel: `${channel}1` })).toBe(false);
    expect(isChannelSignature(app, `${app.key}:${hex}`, { ...facts, channelData: '{}' })).toBe(false);
  });

  it.each([
    ['', 'nothing'],
    ['a7adedcd159ccec89b3727314fa8b7cc1c7412d4e3966604a0ba6b9caeeaaf5a', 'no key'],
    ['other-key:a7adedcd159ccec89b3727314fa8b7cc1c7412d4e3966604a0ba6b9caeeaaf5a', 'the key of another app'],
    ['roost-key:A7ADEDCD159CCEC89B3727314FA8B7CC1C7412D4E3966604A0BA6B9CAEEAAF5A', 'capitals'],
    ['roost-key:a7adedcd159ccec89b3727314fa8b7cc1c7412d4e3966604a0ba6b9caeeaaf5', 'a digit too few'],
    ['roost-key:a7adedcd159ccec89b3727314fa8b7cc1c7412d4e3966604a0ba6b9caeeaaf5é', 'another letter'],
  ])('is not %j: %s', (auth) => {
    const facts = { socketId: '77.88', channel: 'private-orders', channelData: undefined };
    expect(isChannelSignature(OURS, auth, facts)).toBe(false);
  });

  it('covers channel data on private channels as well, also when it is empty', () => {
    // HMAC-SHA256 of "77.88:private-orders:" by "roost-secret".
    const auth = 'roost-key:ce90643e7c6872af394cb45e7d7851e093cfa8c677fb515cf48248dfbc35a724';
    const facts = { socketId: '77.88', channel: 'private-orders', channelData: '' };
    expect(isChannelSignature(OURS, auth, facts)).toBe(true);
    expect(isChannelSignature(OURS, auth, { ...facts, channelData: undefined })).toBe(false);
  });
});

describe('the signature of a user', () => {
  it.each([
    [
      PUSHER,
      '1234.1234',
      '{"id":"12345"}',
      '4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba',
    ],
    [
      OURS,
      '77.88',
      '{"id":"u1","watchlist":["u2"]}',
      'e48a0a8e7f598365d0d190185785507893bd32bb22c53bd8688e74b2d9927b48',
    ],
  ])('of %j for socket %s and %s is %s', (app, socketId, userData, hex) => {
    expect(isUserSignature(app, `${app.key}:${hex}`, { socketId, userData })).toBe(true);
    expect(isUserSignature(app, `${app.key}:${hex}`, { socketId, userData: `${userData} ` })).toBe(false);
    expect(isUserSignature(app, `key:${hex}`, { socketId, userData })).toBe(false);
  });
});

describe('the signature of a request', () => {
  it('is that of Pusher for an event, with the MD5 of its body', () => {
    const body = Buffer.from('{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}');
    expect(body.length).toBe(68);
    expect(isBodyDigest('ec365a775a4cd0599faeb73354201b6f', body)).toBe(true);
    expect(isBodyDigest('EC365A775A4CD0599FAEB73354201B6F', body)).toBe(true);
    expect(isBodyDigest('ec365a775a4cd0599faeb73354201b6e', body)).toBe(false);
    expect(isBodyDigest('', body)).toBe(false);
    const text = signedRequest('POST', '/apps/3/events', [
      ['auth_signature', 'left out'],
      ['auth_version', '1.0'],
      ['auth_key', PUSHER.key],
      ['body_md5', 'ec365a775a4cd0599faeb73354201b6f'],
      ['auth_timestamp', '1353088179'],
    ]);
    expect(text).toBe(
      'POST\n/apps/3/events\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f',
    );
    const signature = 'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c';
    expect(isRequestSignature(PUSHER.secret, signature, text)).toBe(true);
    expect(isRequestSignature(OURS.secret, signature, text)).toBe(false);
  });

  it('covers the parameters of a question, by their keys in lower case and their values as they are', () => {
    const text = signedRequest('GET', '/apps/3/channels', [
      ['Info', 'user_count'],
      ['filter_by_prefix', 'presence-'],
      ['auth_version', '1.0'],
      ['auth_timestamp', '1353088179'],
      ['auth_key', PUSHER.key],
    ]);
    expect(text).toBe(
      'GET\n/apps/3/channels\nauth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&filter_by_prefix=presence-&info=user_count',
    );
    const signature = '16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291';
    expect(isRequestSignature(PUSHER.secret, signature, text)).toBe(true);
    expect(isRequestSignature(PUSHER.secret, signature.toUpperCase(), text)).toBe(false);
  });

  it('is ours for an event that excludes a socket', () => {
    const body = Buffer.from(
      '{"name":"greet","channels":["private-orders"],"data":"{\\"n\\":1}","socket_id":"77.88"}',
    );
    expect(body.length).toBe(85);
    expect(isBodyDigest('98960f0a5ec8a3b8e9447f7c114ed791', body)).toBe(true);
    const text = signedRequest('POST', '/apps/1/events', [
      ['auth_key', 'roost-key'],
      ['auth_timestamp', '1700000000'],
      ['auth_version', '1.0'],
      ['body_md5', '98960f0a5ec8a3b8e9447f7c114ed791'],
    ]);
    expect(
      isRequestSignature(
        OURS.secret,
        '5af81583d2bfee9c4e096e00b30ad997a845146fe3aadfc100edd0f992c57a83',
        text,
      ),
    ).toBe(true);
  });
});

it('the signature of a webhook is that of its body', () => {
  const body = '{"time_ms":1700000000000,"events":[{"name":"channel_occupied","channel":"presence-room"}]}';
  expect(sign(OURS.secret, body)).toBe('2a02da84f36963f3699f82870c9fcb00811cce2390aa79fc62d58d8fb6e0de1d');
});
