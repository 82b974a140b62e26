import { InvalidArgumentError } from 'commander';

const MS_PER_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** More would be a mistyped mask rather than a wish. */
const MAX_ADDRESSES = 1024;

/** `250ms`, `60s`, `5m`, `1h`, in milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const perUnit = MS_PER_UNIT[match?.[2] ?? ''];
  if (match === null || perUnit === undefined) {
    throw new InvalidArgumentError(
      `A duration is a number and a unit, such as 60s, 250ms or 5m; got "${text}".`,
    );
  }
  return Number(match[1]) * perUnit;
}

/** `5000/s` or `5000`: a number a second. */
export function parsePerSecond(text: string): number {
  const match = /^(\d+)(?:\/s)?$/.exec(text);
  const perSecond = Number(match?.[1] ?? 0);
  if (perSecond < 1) {
    throw new InvalidArgumentError(`A rate is a number a second from 1 on, such as 5000/s; got "${text}".`);
  }
  return perSecond;
}

/** `1%` or `0.5%`: a share from 0 to 1. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text);
  const percent = Number(match?.[1]);
  if (!(percent <= 100)) {
    throw new InvalidArgumentError(`A share is a percentage from 0% to 100%, such as 1%; got "${text}".`);
  }
  return percent / 100;
}

/** Reads the share of packets that are lost, which is also that of those that are doubled, and of those that are late. */
export function parseLinkLoss(text: string): number {
  const share = parseShare(text);
  if (share * 3 > 1) {
    throw new InvalidArgumentError(
      `As many packets as are lost come twice, and as many late: it is from 0% to 33%; got "${text}".`,
    );
  }
  return share;
}

/** Makes a parser of integers within `min` and `max`. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be an integer from ${min} to ${max}; got "${text}".`);
    }
    return value;
  };
}

/** `127.0.0.2-127.0.0.9,127.0.1.1`: IPv4 addresses and ranges of them, in order, at most 1,024. */
export function parseAddresses(text: string): string[] {
  const addresses: string[] = [];
  for (const part of text.split(',')) {
    const [first = '', last = first] = part.trim().split('-');
    const from = toNumber(first);
    const to = toNumber(last);
    if (to < from || to - from + addresses.length >= MAX_ADDRESSES) {
      throw new InvalidArgumentError(
        `A range of addresses goes upwards and all are at most ${MAX_ADDRESSES}; got "${part}".`,
      );
    }
    for (let address = from; address <= to; address++) addresses.push(toText(address));
  }
  return addresses;
}

function toNumber(address: string): number {
  const parts = address.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  if (parts.length !== 4 || parts.some((part) => part > 255)) {
    throw new InvalidArgumentError(
      `An address is like 127.0.0.2, a range like 127.0.0.2-127.0.0.9; got "${address}".`,
    );
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

function toText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
