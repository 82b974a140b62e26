import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PusherApps } from '../apps.ts';
import { PUSHER_APP } from '../fixtures/pusher-app.ts';
import { authenticate, checkBody } from './authenticate.ts';
import { RequestError } from './errors.ts';
import { readTarget } from './query.ts';

const NOW_MS = 1_700_000_000_000;
const APPS = new PusherApps([
  { ...PUSHER_APP, id: '1', key: 'roost-key', secret: 'roost-secret' },
  { ...PUSHER_APP, id: '2', key: 'other-key', secret: 'other-secret' },
  { ...PUSHER_APP, id: '3', key: 'off-key', secret: 'off-secret', isEnabled: false },
]);

interface Asked {
  readonly id?: string;
  readonly path?: string;
  readonly signedPath?: string;
  readonly query?: string;
  readonly secret?: string;
}

/** Signs as the SDK for Node does, and sends the query as it stands. */
function outcome(asked: Asked = {}): string {
  const { id = '1', path = `/apps/${id}/events`, secret = 'roost-secret' } = asked;
  const { signedPath = path, query = 'auth_key=roost-key&auth_timestamp=1700000000&auth_version=1.0' } =
    asked;
  const signature = createHmac('sha256', secret).update(`POST\n${signedPath}\n${query}`).digest('hex');
  const target = readTarget(`${path}?${query}&auth_signature=${signature}`);
  try {
    return authenticate(APPS, id, { method: 'POST', nowMs: NOW_MS, ...target }).id;
  } catch (error) {
    if (error instanceof RequestError) return `${error.status} ${error.error}`;
    throw error;
  }
}

const check = (query: string, sent: Buffer): void => checkBody(readTarget(`/?${query}`).query, sent);

describe('a request', () => {
  it('is that of the app that has signed it', () => {
    expect(outcome()).toBe('1');
  });

  it.each<[string, Asked, string]>([
    ['an app that there is not', { id: '4' }, '404 unknownApp'],
    ['an app named as a member of objects', { id: 'constructor' }, '404 unknownApp'],
    ['no key', { query: 'auth_timestamp=1700000000&auth_version=1.0' }, '401 wrongKey'],
    [
      'the key of another app, rightly signed for this one',
      { query: 'auth_key=other-key&auth_timestamp=1700000000&auth_version=1.0' },
      '401 wrongKey',
    ],
    ['no version', { query: 'auth_key=roost-key&auth_timestamp=1700000000' }, '401 wrongVersion'],
    ['no timestamp', { query: 'auth_key=roost-key&auth_version=1.0' }, '401 wrongTimestamp'],
    [
      'a timestamp of 601 s ago: it may be a repetition',
      { query: 'auth_key=roost-key&auth_timestamp=1699999399&auth_version=1.0' },
      '401 wrongTimestamp',
    ],
    [
      'a timestamp in 601 s',
      { query: 'auth_key=roost-key&auth_timestamp=1700000601&auth_version=1.0' },
      '401 wrongTimestamp',
    ],
    [
      'a timestamp in ms',
      { query: 'auth_key=roost-key&auth_timestamp=1700000000000&auth_version=1.0' },
      '401 wrongTimestamp',
    ],
    [
      'a timestamp that is no number',
      { query: 'auth_key=roost-key&auth_timestamp=now&auth_version=1.0' },
      '401 wrongTimestamp',
    ],
    ['the secret of another app', { secret: 'other-secret' }, '401 wrongSignature'],
    ['the signature of another path', { signedPath: '/apps/1/batch_events' }, '401 wrongSignature'],
    [
      'a disabled app, rightly signed',
      {
        id: '3',
        secret: 'off-secret',
        query: 'auth_key=off-key&auth_timestamp=1700000000&auth_version=1.0',
      },
      '403 disabledApp',
    ],
    [
      'a disabled app, wrongly signed',
      { id: '3', query: 'auth_key=off-key&auth_timestamp=1700000000&auth_version=1.0' },
      '401 wrongSignature',
    ],
  ])('of %s is refused', (_, asked, refusal) => {
    expect(outcome(asked)).toBe(refusal);
  });

  it('may be 600 s old, or early', () => {
    for (const timestamp of [1_699_999_400, 1_700_000_600]) {
      expect(outcome({ query: `auth_key=roost-key&auth_timestamp=${timestamp}&auth_version=1.0` })).toBe('1');
    }
  });

  it('may be signed with a path that is not encoded, as that of a user', () => {
    const path = '/apps/1/users/Ada%20L%C3%B6w/terminate_connections';
    expect(outcome({ path })).toBe('1');
    expect(outcome({ path, signedPath: '/apps/1/users/Ada Löw/terminate_connections' })).toBe('1');
  });

  it('has a body of the digest that was signed', () => {
    const body = Buffer.from('{"name":"a"}');
    const digest = createHash('md5').update(body).digest('hex');
    expect(() => check(`body_md5=${digest}`, body)).not.toThrow();
    expect(() => check('', Buffer.alloc(0))).not.toThrow();
    expect(() => check('body_md5=d41d8cd98f00b204e9800998ecf8427e', Buffer.alloc(0))).not.toThrow();
    expect(() => check('', body)).toThrow('The body_md5 is not that of the body.');
    expect(() => check(`body_md5=${digest}`, Buffer.from('{"name":"b"}'))).toThrow(RequestError);
    expect(() => check(`body_md5=${digest}`, Buffer.alloc(0))).toThrow(RequestError);
  });
});
