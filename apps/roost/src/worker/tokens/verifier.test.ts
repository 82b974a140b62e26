import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { generateKeyPairSync, KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Log, TokenClaims } from '@roost/farm';
import { eventually } from '@roost/testing';
import { SignJWT, UnsecuredJWT } from 'jose';
import type { JWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TokenOptions } from '../options.ts';
import { TokenVerifier } from './verifier.ts';

const SECRET = 'a secret that has 32 characters!'.replaceAll(' ', '_');
const OPTIONS: TokenOptions = {
  key: { kind: 'secret', secret: SECRET },
  issuer: null,
  audience: null,
  clockToleranceSeconds: 0,
  allowAnonymous: false,
  publicChannels: [],
  jwksTimeoutMs: 300,
  jwksCacheMs: 60_000,
  jwksStaleMs: 0,
  jwksCooldownMs: 0,
};
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const OTHER_RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const RSA_PEM = String(RSA.publicKey.export({ type: 'spki', format: 'pem' }));
const EC_PEM = String(EC.publicKey.export({ type: 'spki', format: 'pem' }));

/** What the verifier has logged. */
const lines: string[] = [];
function note(fields: object, message: string): void {
  lines.push(`${message}: ${JSON.stringify(fields)}`);
}
const log: Log = { debug: note, info: note, warn: note, error: note, fatal: note };

let folder: string;
beforeEach(() => {
  lines.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'roost-tokens-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1000) + fromNow;
}

/** Unlike those of jose's JWTPayload they may be wrong. */
type Claims = Readonly<Record<string, unknown>>;
type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'HS512' | 'PS256';

function token(
  alg: Algorithm,
  key: KeyObject | Uint8Array,
  claims: Claims = {},
  header: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new SignJWT({ sub: 'u1', exp: seconds(60), ...claims })
    .setProtectedHeader({ alg, ...header })
    .sign(key);
}

function secretToken(claims: Claims = {}, secret = SECRET): Promise<string> {
  return token('HS256', Buffer.from(secret), claims);
}

function verify(shown: string, options: Partial<TokenOptions> = {}): Promise<TokenClaims | string> {
  return new TokenVerifier({ ...OPTIONS, ...options }, log).verify(shown);
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return pathToFileURL(path).href;
}

function jwk(key: KeyObject, kid?: string): JWK {
  return { ...key.export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }) };
}

function jwks(...keys: readonly JWK[]): string {
  return JSON.stringify({ keys });
}

describe('a token', () => {
  it('gives its claims when its signature is right: HS256, RS256 and ES256', async () => {
    const claims = { channels: ['news', 'user:*'], publish: ['chat'], team: 7 };
    expect(await verify(await secretToken(claims))).toMatchObject({ sub: 'u1', ...claims });
    const rsa = { key: { kind: 'publicKey', url: file('rsa.pem', RSA_PEM) } } as const;
    expect(await verify(await token('RS256', RSA.privateKey, claims), rsa)).toMatchObject(claims);
    const ec = { key: { kind: 'publicKey', url: file('ec.pem', EC_PEM) } } as const;
    expect(await verify(await token('ES256', EC.privateKey, claims), ec)).toMatchObject(claims);
    const set = {
      key: { kind: 'jwks', url: file('jwks.json', jwks(jwk(RSA.publicKey, 'a'), jwk(EC.publicKey, 'b'))) },
    } as const;
    expect(await verify(await token('RS256', RSA.privateKey, claims, { kid: 'a' }), set)).toMatchObject(
      claims,
    );
    expect(await verify(await token('ES256', EC.privateKey, claims, { kid: 'b' }), set)).toMatchObject(
      claims,
    );
  });

  it('is token_signature when another key or other bytes were signed', async () => {
    expect(await verify(await secretToken({}, SECRET.toUpperCase()))).toBe('token_signature');
    const [header, , signature] = (await secretToken()).split('.');
    const forged = Buffer.from('{"sub":"root"}').toString('base64url');
    expect(await verify(`${header}.${forged}.${signature}`)).toBe('token_signature');
    const rsa = { key: { kind: 'publicKey', url: file('rsa.pem', RSA_PEM) } } as const;
    expect(await verify(await token('RS256', OTHER_RSA.privateKey), rsa)).toBe('token_signature');
  });

  it('is token_algorithm when it wants another algorithm than the key is for, none above all', async () => {
    const unsigned = new UnsecuredJWT({ sub: 'root' }).encode();
    expect(unsigned).toMatch(/\.$/);
    expect(await verify(unsigned)).toBe('token_algorithm');
    expect(await verify(await token('HS512', Buffer.from(SECRET.repeat(2))))).toBe('token_algorithm');
    expect(await verify(await token('RS256', RSA.privateKey))).toBe('token_algorithm');
    // The public key, which everybody knows, taken for an HMAC secret.
    for (const kind of ['publicKey', 'jwks'] as const) {
      const url = file(kind, kind === 'jwks' ? jwks(jwk(RSA.publicKey)) : RSA_PEM);
      for (const secret of [RSA_PEM, RSA_PEM.trimEnd(), jwks(jwk(RSA.publicKey))]) {
        expect(await verify(await secretToken({}, secret), { key: { kind, url } })).toBe('token_algorithm');
      }
      expect(await verify(unsigned, { key: { kind, url } })).toBe('token_algorithm');
      expect(await verify(await token('PS256', RSA.privateKey), { key: { kind, url } })).toBe(
        'token_algorithm',
      );
    }
    // Both are public keys, but this one is not for that algorithm.
    const ec = { key: { kind: 'publicKey', url: file('ec.pem', EC_PEM) } } as const;
    expect(await verify(await token('RS256', RSA.privateKey), ec)).toBe('token_algorithm');
  });

  it('is token_expired from exp on, and token_not_yet_valid before nbf, with the tolerance of the clock', async () => {
    expect(await verify(await secretToken({ exp: seconds(-1) }))).toBe('token_expired');
    expect(await verify(await secretToken({ nbf: seconds(30) }))).toBe('token_not_yet_valid');
    const tolerant = { clockToleranceSeconds: 60 };
    expect(await verify(await secretToken({ exp: seconds(-1) }), tolerant)).toMatchObject({ sub: 'u1' });
    expect(await verify(await secretToken({ nbf: seconds(30) }), tolerant)).toMatchObject({ sub: 'u1' });
  });

  it('is token_issuer or token_audience when the options ask for others', async () => {
    const options = { issuer: 'https://id.example', audience: 'roost' };
    const good = { iss: 'https://id.example', aud: ['shop', 'roost'] };
    expect(await verify(await secretToken(good), options)).toMatchObject(good);
    expect(await verify(await secretToken({ ...good, iss: 'https://evil.example' }), options)).toBe(
      'token_issuer',
    );
    expect(await verify(await secretToken({ aud: 'roost' }), options)).toBe('token_issuer');
    expect(await verify(await secretToken({ ...good, aud: 'shop' }), options)).toBe('token_audience');
  });

  it.each<[string, Claims]>([
    ['channels that are no list', { channels: 'news' }],
    ['a channel that is no text', { channels: ['news', 7] }],
    ['an empty pattern', { publish: [''] }],
    ['a sub that is no text', { sub: 7 }],
    ['an exp that is no number', { exp: '2030' }],
    ['an exp in milliseconds', { exp: seconds(60) * 1000 }],
  ])('is token_malformed for %s', async (_, claims) => {
    expect(await verify(await secretToken(claims))).toBe('token_malformed');
  });

  it('is token_malformed when it is no JWT, or longer than 8,192 characters', async () => {
    const good = await secretToken();
    for (const bad of ['', 'x', 'a.b', '..', `${good}.x`, `x${good}`, good.replace('.', '')]) {
      expect(await verify(bad), bad).toBe('token_malformed');
    }
    const long = await secretToken({ pad: 'x'.repeat(6200) });
    expect(long.length).toBeGreaterThan(8192);
    expect(await verify(long)).toBe('token_malformed');
    expect(await verify(await secretToken({ pad: 'x'.repeat(5900) }))).toMatchObject({ sub: 'u1' });
    // A critical extension that nobody here knows (RFC 7515 §4.1.11).
    const header = Buffer.from('{"alg":"HS256","crit":["x"],"x":1}').toString('base64url');
    expect(await verify(`${header}.e30.AAAA`)).toBe('token_malformed');
  });

  it('may have no claims at all, and then never expires', async () => {
    const bare = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(SECRET));
    expect(await verify(bare)).toEqual({});
  });
});

describe('a JWKS', () => {
  it('is asked by kid; an unknown one is token_key', async () => {
    const key = { kind: 'jwks', url: file('jwks.json', jwks(jwk(RSA.publicKey, 'a'))) } as const;
    expect(await verify(await token('RS256', RSA.privateKey, {}, { kid: 'z' }), { key })).toBe('token_key');
    expect(await verify(await token('ES256', EC.privateKey), { key })).toBe('token_key');
  });

  it('is tried key by key for a token without kid', async () => {
    const set = jwks(jwk(OTHER_RSA.publicKey, 'a'), jwk(RSA.publicKey, 'b'));
    const key = { kind: 'jwks', url: file('jwks.json', set) } as const;
    expect(await verify(await token('RS256', RSA.privateKey), { key })).toMatchObject({ sub: 'u1' });
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await verify(await token('RS256', stranger.privateKey), { key })).toBe('token_signature');
    expect(await verify(await token('RS256', RSA.privateKey, { exp: seconds(-1) }), { key })).toBe(
      'token_expired',
    );
  });

  it('in a file is read again for a key that it did not have', async () => {
    const url = file('jwks.json', jwks(jwk(RSA.publicKey, 'a')));
    const verifier = new TokenVerifier({ ...OPTIONS, key: { kind: 'jwks', url } }, log);
    expect(await verifier.verify(await token('RS256', RSA.privateKey, {}, { kid: 'a' }))).toMatchObject({});
    file('jwks.json', jwks(jwk(OTHER_RSA.publicKey, 'b')));
    const rotated = await token('RS256', OTHER_RSA.privateKey, {}, { kid: 'b' });
    // Not more than once a second.
    await eventually(async () => typeof (await verifier.verify(rotated)) === 'object', {
      what: 'the new key is taken',
    });
    expect(await verifier.verify(await token('RS256', RSA.privateKey, {}, { kid: 'a' }))).toBe('token_key');
  });

  it('with a key that cannot be used is token_keys_unavailable, and logged', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const key = { kind: 'jwks', url: file('jwks.json', jwks(jwk(weak.publicKey))) } as const;
    const [head, body] = (await token('RS256', RSA.privateKey)).split('.');
    expect(await verify(`${head}.${body}.AAAA`, { key })).toBe('token_keys_unavailable');
    expect(lines.join()).toContain('token keys cannot be used');
  });
});

describe('a JWKS at a URL', () => {
  let server: Server;
  let url: string;
  let requests = 0;
  let respond: (response: ServerResponse) => void;
  const key = (): TokenOptions['key'] => ({ kind: 'jwks', url: `${url}?key=hush` });
  beforeEach(async () => {
    requests = 0;
    respond = (response) => response.end(jwks(jwk(RSA.publicKey, 'a')));
    server = createServer((_request, response) => {
      requests++;
      respond(response);
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/jwks.json`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  });

  it('is fetched once for many tokens', async () => {
    const verifier = new TokenVerifier({ ...OPTIONS, key: key() }, log);
    const good = await token('RS256', RSA.privateKey, {}, { kid: 'a' });
    const results = await Promise.all(Array.from({ length: 20 }, () => verifier.verify(good)));
    expect(results.every((result) => typeof result === 'object')).toBe(true);
    expect(requests).toBe(1);
  });

  it('is fetched again for a new kid, but not within the cooldown', async () => {
    const verifier = new TokenVerifier({ ...OPTIONS, key: key() }, log);
    await verifier.verify(await token('RS256', RSA.privateKey, {}, { kid: 'a' }));
    respond = (response) => response.end(jwks(jwk(RSA.publicKey, 'a'), jwk(EC.publicKey, 'b')));
    expect(await verifier.verify(await token('ES256', EC.privateKey, {}, { kid: 'b' }))).toMatchObject({});
    expect(requests).toBe(2);
    const patient = new TokenVerifier({ ...OPTIONS, key: key(), jwksCooldownMs: 60_000 }, log);
    for (const kid of ['x', 'y', 'z']) {
      expect(await patient.verify(await token('RS256', RSA.privateKey, {}, { kid }))).toBe('token_key');
    }
    expect(requests).toBe(3);
  });

  it.each<[string, (response: ServerResponse) => void, RegExp]>([
    ['answers an error', (response) => response.writeHead(500).end(), /status 500/],
    ['sends elsewhere', (response) => response.writeHead(302, { Location: '/' }).end(), /status 302/],
    ['does not answer with JSON', (response) => response.end('<html>'), /not JSON/],
    ['answers no keys', (response) => response.end('{"keys":[]}'), /no key/],
    ['publishes a secret', (response) => response.end(jwks(jwk(RSA.privateKey))), /secret/],
    ['never ends', (response) => response.write('{'), /300 ms/],
    ['never answers', () => undefined, /300 ms/],
    ['answers too much', (response) => response.end(' '.repeat(300_000)), /262144/],
    ['hangs up', (response) => response.destroy(), /hang up|aborted|reset/],
  ])(
    'that %s makes token_keys_unavailable, which is logged without the query of the URL',
    async (_, answer, reason) => {
      respond = answer;
      const verifier = new TokenVerifier({ ...OPTIONS, key: key() }, log);
      const good = await token('RS256', RSA.privateKey, {}, { kid: 'a' });
      expect(await verifier.verify(good)).toBe('token_keys_unavailable');
      // The next ones do not storm it.
      expect(await verifier.verify(good)).toBe('token_keys_unavailable');
      expect(requests).toBe(1);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(reason);
      expect(lines[0]).toContain(url);
      expect(lines[0]).not.toContain('hush');
      // What is wrong in any case needs no key.
      expect(await verifier.verify('x')).toBe('token_malformed');
      expect(await verifier.verify(await secretToken())).toBe('token_algorithm');
    },
  );

  it('that nobody serves makes token_keys_unavailable', async () => {
    server.close();
    const good = await token('RS256', RSA.privateKey, {}, { kid: 'a' });
    expect(await verify(good, { key: key() })).toBe('token_keys_unavailable');
    expect(lines[0]).toContain('ECONNREFUSED');
  });
});
