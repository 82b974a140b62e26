import { makeCertificate } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import type { LogFields } from '../api/log.ts';
import { TlsKeeper } from './tls-keeper.ts';

const certificate = makeCertificate();

/** A keeper, and what it logs: level and message. */
function keep(tls?: ConstructorParameters<typeof TlsKeeper>[0]): { keeper: TlsKeeper; lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (_fields: LogFields, message: string): void =>
      void lines.push(`${level} ${message}`);
  const log = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
  };
  return { keeper: new TlsKeeper(tls, log), lines };
}

describe('a certificate and a key', () => {
  it('that belong together become the credentials of all workers, with 48 bytes of ticket keys', () => {
    const { keeper, lines } = keep(certificate);
    expect(keeper.credentials).toMatchObject({
      cert: certificate.cert,
      key: certificate.key,
      minVersion: 'TLSv1.2',
    });
    expect(Buffer.from(keeper.credentials?.ticketKeys ?? '', 'base64')).toHaveLength(48);
    expect(lines).toEqual(['info TLS certificate read: new connections get it']);
  });

  it('may be bytes, as they come from files', () => {
    const { keeper } = keep({ cert: Buffer.from(certificate.cert), key: Buffer.from(certificate.key) });
    expect(keeper.credentials?.cert).toBe(certificate.cert);
  });

  const { cert, key } = certificate;
  const other = makeCertificate({ commonName: 'other' });
  it.each([
    ['no certificate', { cert: '', key }, 'tls.cert', "begins with the server's own, got nothing."],
    ['text', { cert: 'hello', key }, 'tls.cert', 'got 5 characters that are not PEM.'],
    ['the key twice', { cert: key, key }, 'tls.cert', 'got "PRIVATE KEY" that cannot be used.'],
    [
      'a broken certificate',
      { cert: cert.replace(/\n.{8}/, '\nAAAAAAAA'), key },
      'tls.cert',
      'cannot be read',
    ],
    ['the certificate twice', { cert, key: cert }, 'tls.key', 'got "CERTIFICATE" that cannot be used.'],
    ["another's key", { cert, key: other.key }, 'tls.key', 'certificate of tls.cert (CN=localhost), got'],
    [
      'an encrypted key',
      { cert, key: '-----BEGIN ENCRYPTED PRIVATE KEY-----' },
      'tls.key',
      'got an encrypted one. "openssl pkey" decrypts it.',
    ],
  ])('are refused when there is %s', (_what, tls, option, reason) => {
    expect(() => keep(tls)).toThrow(
      expect.objectContaining({ code: 'FARM_ERR_OPTION', option, message: expect.stringContaining(reason) }),
    );
  });

  it('never stand in an error or in the log', () => {
    const secret = certificate.key.split('\n')[1] ?? '';
    expect(() => keep({ cert, key: certificate.key.replace('\n', 'x\n') })).toThrow(
      expect.not.stringContaining(secret),
    );
    expect(keep(certificate).lines.join()).not.toContain(secret);
  });

  it.each([
    [-1, 'warn the TLS certificate has expired: clients will refuse it'],
    [13.5, 'warn the TLS certificate expires soon'],
  ])('of which %d days are left are taken with a warning', (days, line) => {
    expect(keep(makeCertificate({ days })).lines[1]).toBe(line);
  });

  it('of which 15 days are left are taken without one', () => {
    expect(keep(makeCertificate({ days: 15 })).lines).toHaveLength(1);
  });
});

describe('new ones', () => {
  it('replace them, with ticket keys of their own', () => {
    const { keeper } = keep(certificate);
    const before = keeper.credentials;
    const next = makeCertificate();
    keeper.replace(next);
    expect(keeper.credentials?.cert).toBe(next.cert);
    expect(keeper.credentials?.ticketKeys).not.toBe(before?.ticketKeys);
  });

  it('that cannot be used leave those in use', () => {
    const { keeper } = keep(certificate);
    const before = keeper.credentials;
    expect(() => keeper.replace({ cert: 'nothing', key: 'nothing' })).toThrow('tls.cert');
    expect(keeper.credentials).toBe(before);
  });

  it('are refused by a farm that was started without', () => {
    const { keeper } = keep();
    expect(keeper.credentials).toBeNull();
    expect(() => keeper.replace(certificate)).toThrow(
      expect.objectContaining({ code: 'FARM_ERR_OPTION', option: 'tls' }),
    );
  });
});
