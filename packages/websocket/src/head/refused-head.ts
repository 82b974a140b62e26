export interface RefusedHead {
  readonly kind: 'refused';
  /** 400, 431 (too large), 501 (method) or 505 (version). */
  readonly status: number;
  /** One sentence for the body of the response. */
  readonly reason: string;
}

/** What a piece of a head answers that may still become a good one. */
export const INCOMPLETE = Object.freeze({ kind: 'incomplete' as const });

export function refused(status: number, reason: string): RefusedHead {
  return Object.freeze({ kind: 'refused', status, reason });
}
