/** For the spec. */
export function growthOf(samples: readonly number[]): number;
