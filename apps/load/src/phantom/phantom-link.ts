/** The TUN device of one load process. Plain data: it is sent there. */
export interface PhantomLink {
  readonly device: string;
  /** The first of its clients' addresses, all of which are routed to the device. */
  readonly firstAddress: string;
  /** See StackOptions. */
  readonly disturbedPerMillion: number;
}

export const MAX_LINKS = 32;
/** 4096 addresses with 60,000 ports each. */
const ADDRESSES_BITS = 12;

/** A device for each load process, with addresses of the block that is reserved for benchmarks (198.18.0.0/15, RFC 2544). */
export function phantomLinks(processes: number, disturbedPerMillion: number): PhantomLink[] {
  return Array.from({ length: processes }, (_, index) => {
    const number = index << ADDRESSES_BITS;
    return {
      device: `phantom${index}`,
      firstAddress: `198.${18 + (number >> 16)}.${(number >> 8) & 255}.0`,
      disturbedPerMillion,
    };
  });
}

/** What is routed to a link's device. */
export function networkOf(link: PhantomLink): string {
  return `${link.firstAddress}/${32 - ADDRESSES_BITS}`;
}
