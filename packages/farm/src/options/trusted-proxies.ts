import { ADDRESS_BYTES, isMappedIPv4, MAPPED_PREFIX_BITS, parseAddress } from '../addresses/address.ts';

/** Ranges of one farm: each is compared with each new socket's address. */
export const MAX_TRUSTED_PROXIES = 1024;

/** Four 32-bit words of the network's address, then four of its mask. */
const WORDS = 8;

/** Whether a text is an address or a CIDR block: `192.0.2.1`, `10.0.0.0/8`, `::1`, `2001:db8::/32`. */
export function isAddressRange(text: string): boolean {
  return parseRange(text) !== undefined;
}

/**
 * The proxies whose word on the client's address is taken.
 *
 * Addresses are compared as 16 bytes, so that an IPv4 range is met by mapped addresses too (`::ffff:10.1.2.3` is in
 * `10.0.0.0/8`); a range of IPv6 is never met by IPv4, however short its prefix: `::/0` is all of IPv6 alone. Bits of a
 * block beyond its prefix do not count.
 */
export class TrustedProxies {
  readonly #words: Uint32Array;
  /** Ranges of IPv4 stand before this index, those of IPv6 from it on. */
  readonly #firstIPv6: number;
  readonly #count: number;

  /** `ranges` have been checked with {@link isAddressRange}. */
  constructor(ranges: readonly string[]) {
    const parsed = ranges.flatMap((text) => parseRange(text) ?? []);
    const ordered = [...parsed.filter(isOfIPv4), ...parsed.filter((range) => !isOfIPv4(range))];
    this.#count = ordered.length;
    this.#firstIPv6 = parsed.filter(isOfIPv4).length;
    this.#words = new Uint32Array(ordered.length * WORDS);
    for (const [index, { address, prefixBits }] of ordered.entries()) {
      for (let word = 0; word < 4; word++) {
        const bits = Math.min(Math.max(prefixBits - word * 32, 0), 32);
        const mask = bits === 0 ? 0 : -1 << (32 - bits);
        this.#words[index * WORDS + word] = wordAt(address, word * 4) & mask;
        this.#words[index * WORDS + 4 + word] = mask;
      }
    }
  }

  /** Whether the 16 bytes at `offset` are the address of one of them. */
  isTrusted(addressBytes: Uint8Array, offset: number): boolean {
    if (this.#count === 0) return false;
    const isIPv4 = isMappedIPv4(addressBytes, offset);
    const end = (isIPv4 ? this.#firstIPv6 : this.#count) * WORDS;
    const words = this.#words;
    const first = wordAt(addressBytes, offset);
    const second = wordAt(addressBytes, offset + 4);
    const third = wordAt(addressBytes, offset + 8);
    const fourth = wordAt(addressBytes, offset + 12);
    for (let at = isIPv4 ? 0 : this.#firstIPv6 * WORDS; at < end; at += WORDS) {
      // Differences within the mask; the last word first, since it differs most often.
      const difference =
        ((fourth ^ (words[at + 3] ?? 0)) & (words[at + 7] ?? 0)) |
        ((third ^ (words[at + 2] ?? 0)) & (words[at + 6] ?? 0)) |
        ((second ^ (words[at + 1] ?? 0)) & (words[at + 5] ?? 0)) |
        ((first ^ (words[at] ?? 0)) & (words[at + 4] ?? 0));
      if (difference === 0) return true;
    }
    return false;
  }
}

interface AddressRange {
  readonly address: Uint8Array;
  /** Of the 128 bits. */
  readonly prefixBits: number;
}

function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf('/');
  const written = slash === -1 ? text : text.slice(0, slash);
  const address = parseAddress(written);
  if (address === undefined) return undefined;
  if (slash === -1) return { address, prefixBits: ADDRESS_BYTES * 8 };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  // A mapped block is written with the prefix length of its notation: 10.0.0.0/8, but ::ffff:10.0.0.0/104.
  const prefixBits = Number(digits) + (written.includes(':') ? 0 : MAPPED_PREFIX_BITS);
  return prefixBits > ADDRESS_BYTES * 8 ? undefined : { address, prefixBits };
}

function isOfIPv4({ address, prefixBits }: AddressRange): boolean {
  return prefixBits >= MAPPED_PREFIX_BITS && isMappedIPv4(address, 0);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}
