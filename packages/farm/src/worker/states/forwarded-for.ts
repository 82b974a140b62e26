import { parseAddress } from '../../addresses/address.ts';
import type { Counters } from '../../api/counters.ts';
import type { TrustedProxies } from '../../options/trusted-proxies.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';

/** What a list says of the client. */
export interface ForwardedClient {
  /** 16 bytes; undefined when the last entry, which the proxy itself wrote, is not an address. */
  readonly address: Uint8Array | undefined;
  /** The walk ended at an entry that is not an address. */
  readonly isMalformed: boolean;
}

/**
 * The client in an `X-Forwarded-For` list that a trusted proxy has passed on.
 *
 * Every proxy appends the address that it was called from, so the list is read from its right end: trusted proxies are
 * skipped, and the first address that is none is the client; when all are, it is the first in the list. What stands
 * further left was written by that client and means nothing. An entry may have a port (`192.0.2.1:5678`,
 * `[2001:db8::1]:5678`).
 */
export function forwardedClient(list: string, proxies: TrustedProxies): ForwardedClient {
  let address: Uint8Array | undefined;
  for (let end = list.length; end > 0;) {
    const comma = list.lastIndexOf(',', end - 1);
    const entry = list.slice(comma + 1, end).trim();
    end = comma;
    // Lists may have empty elements (RFC 9110 §5.6.1).
    if (entry === '') continue;
    const hop = parseAddress(entry) ?? parseAddress(withoutPort(entry));
    if (hop === undefined) return { address, isMalformed: true };
    address = hop;
    if (!proxies.isTrusted(hop, 0)) break;
  }
  return { address, isMalformed: false };
}

export interface ForwardedForParts {
  readonly table: ConnectionTable;
  readonly trustedProxies: TrustedProxies;
  readonly counters: Counters;
}

/** Gives a row, whose peer is a trusted proxy, the address of the client for whom it asks. */
export function applyForwardedFor(
  { table, trustedProxies, counters }: ForwardedForParts,
  slot: number,
  headers: Readonly<Record<string, string>>,
): void {
  const list = headers['x-forwarded-for'];
  if (list === undefined) return;
  const { address, isMalformed } = forwardedClient(list, trustedProxies);
  if (isMalformed) counters.add('forwarded_for_malformed');
  if (address === undefined) return;
  table.setAddress(slot, address);
  table.setFlag(slot, RowFlag.proxied);
}

function withoutPort(entry: string): string {
  const match = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::\d{1,5})?$/i.exec(entry);
  return match?.[1] ?? match?.[2] ?? '';
}
