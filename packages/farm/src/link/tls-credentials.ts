import type { TlsVersion } from '../api/tls.ts';

/** What a worker needs to speak TLS. All workers of a farm have the same, also the ticket keys. */
export interface TlsCredentials {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsVersion;
  /** 48 bytes in base64 that encrypt session tickets (RFC 5077): a session begun on one worker goes on on any other. */
  readonly ticketKeys: string;
}
