import { distance } from 'fastest-levenshtein';

/** Longer than all names: comparing takes time for each letter. */
const MAX_LENGTH = 100;

/** The known name that `written` was probably meant to be, or undefined when nothing is near. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  if (written.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  // Two slips in a short name, a third of the letters in a long one: beyond that a suggestion would be a guess.
  let bestDistance = Math.max(2, Math.floor(written.length / 3)) + 1;
  for (const name of known) {
    const steps = distance(written.toLowerCase(), name.toLowerCase());
    if (steps < bestDistance) {
      best = name;
      bestDistance = steps;
    }
  }
  return best;
}
