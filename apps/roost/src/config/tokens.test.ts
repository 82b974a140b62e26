import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TokenOptions } from '../worker/options.ts';
import { resolveConfig } from './resolve.ts';
import type { Flags } from './resolve.ts';
import { tokenOptions } from './tokens.ts';

const SECRET = 's'.repeat(32);
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });
const WEAK = generateKeyPairSync('rsa', { modulusLength: 1024 });
const ED = generateKeyPairSync('ed25519');
const P384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const P256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-token-config-'));
  const pem = (name: string, key: string | Buffer): void => writeFileSync(join(folder, name), key);
  for (const [name, { publicKey }] of Object.entries({ RSA, WEAK, ED, P384, P256 })) {
    pem(`${name}.pem`, publicKey.export({ type: 'spki', format: 'pem' }));
  }
  pem('private.pem', RSA.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  pem('pkcs1.pem', RSA.publicKey.export({ type: 'pkcs1', format: 'pem' }));
  pem('text.pem', 'no key');
  const rsa = RSA.publicKey.export({ format: 'jwk' });
  const sets = {
    good: { keys: [{ kty: 'OKP', crv: 'Ed25519', x: '' }, rsa] },
    useless: { keys: [{ ...rsa, use: 'enc' }] },
    secret: { keys: [rsa, { kty: 'oct', k: 'AAAA' }] },
    private: { keys: [RSA.privateKey.export({ format: 'jwk' })] },
    shapeless: [rsa],
  };
  for (const [name, set] of Object.entries(sets))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(set));
});
afterAll(() => rmSync(folder, { recursive: true }));

function options(flags: Flags): TokenOptions | null {
  return tokenOptions(resolveConfig({ flags, environment: {}, configPath: undefined, folder }).settings);
}

function messageOf(flags: Flags): string {
  try {
    options(flags);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('nothing was wrong');
}

describe('the key for tokens', () => {
  it('is none by default: then tokens mean nothing', () => {
    expect(options({})).toBeNull();
  });

  it('is a secret, a file, or a URL', () => {
    expect(options({ 'tokens.secret': SECRET })?.key).toEqual({ kind: 'secret', secret: SECRET });
    for (const name of ['RSA.pem', 'P256.pem', 'pkcs1.pem']) {
      const url = pathToFileURL(join(folder, name)).href;
      expect(options({ 'tokens.publicKey': name })?.key).toEqual({ kind: 'publicKey', url });
    }
    const url = pathToFileURL(join(folder, 'good.json')).href;
    expect(options({ 'tokens.jwks': './good.json' })?.key).toEqual({ kind: 'jwks', url });
    for (const remote of ['http://127.0.0.1:1/jwks', 'https://id.example/.well-known/jwks.json?v=1']) {
      expect(options({ 'tokens.jwks': remote })?.key).toEqual({ kind: 'jwks', url: remote });
    }
  });

  it.each<[string, Flags, RegExp]>([
    [
      'is short',
      { 'tokens.secret': 'hunter2' },
      /^--tokens-secret must be 32 to 512 .*, got a value of 7 characters, not shown here\./,
    ],
    [
      'is two of them',
      { 'tokens.secret': SECRET, 'tokens.jwks': 'good.json' },
      /^--tokens-jwks must be left out when --tokens-secret/,
    ],
    [
      'is in no file',
      { 'tokens.publicKey': 'absent.pem' },
      /^--tokens-public-key names .*absent\.pem, which cannot be used: there is no such file\.$/,
    ],
    [
      'is not a PEM file',
      { 'tokens.publicKey': 'text.pem' },
      /: it is not a PEM file with a public key or certificate\.$/,
    ],
    [
      'is private',
      { 'tokens.publicKey': 'private.pem' },
      /: it holds a private key, which belongs to the issuer alone/,
    ],
    ['is weak', { 'tokens.publicKey': 'WEAK.pem' }, /: its key must be RSA of at least 2048 bits/],
    ['is of another kind', { 'tokens.publicKey': 'ED.pem' }, /, got ed25519\.$/],
    ['is on another curve', { 'tokens.publicKey': 'P384.pem' }, /, got ec\.$/],
    [
      'is no JWKS',
      { 'tokens.jwks': 'RSA.pem' },
      /^--tokens-jwks names .*RSA\.pem, which cannot be used: it is not JSON\.$/,
    ],
    ['is a list', { 'tokens.jwks': 'shapeless.json' }, /: it is not a JWKS: an object with a list "keys"\.$/],
    ['is for encryption', { 'tokens.jwks': 'useless.json' }, /: it has no key for signatures/],
    ['is a secret in a JWKS', { 'tokens.jwks': 'secret.json' }, /: it holds a secret key/],
    ['is private in a JWKS', { 'tokens.jwks': 'private.json' }, /: it holds a secret key/],
    [
      'is at a URL of another kind',
      { 'tokens.jwks': 'ftp://id.example/jwks' },
      /^--tokens-jwks must be the path of a JWKS file, or an http or https URL/,
    ],
    [
      'has a password in its URL',
      { 'tokens.jwks': 'https://u:p@id.example/jwks' },
      /without user and password/,
    ],
  ])('that %s is one line', (_, flags, message) => {
    expect(messageOf(flags)).toMatch(message);
    expect(messageOf(flags)).not.toContain('\n');
  });
});

describe('the options of tokens', () => {
  it('are errors without a key, for somebody may think that they protect', () => {
    for (const [key, value] of [
      ['tokens.issuer', 'x'],
      ['tokens.audience', 'x'],
      ['tokens.publicChannels', 'public:*'],
      ['tokens.allowAnonymous', true],
    ] as const) {
      expect(messageOf({ [key]: value })).toMatch(/^--tokens-\S+ needs a key to verify tokens with/);
    }
  });

  it('reach the workers', () => {
    const made = options({
      'tokens.secret': SECRET,
      'tokens.issuer': 'me',
      'tokens.publicChannels': 'public:*, lobby',
      'tokens.clockToleranceSeconds': '5',
    });
    expect(made).toMatchObject({
      issuer: 'me',
      audience: null,
      publicChannels: ['public:*', 'lobby'],
      clockToleranceSeconds: 5,
      allowAnonymous: false,
      jwksTimeoutMs: 5000,
    });
    expect(messageOf({ 'tokens.secret': SECRET, 'tokens.publicChannels': 'a,' })).toContain('got ""');
  });
});
