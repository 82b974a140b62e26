import { NO_PAUSE, withoutCut, withoutUnit, type Stream } from './stream.ts';

/** Tries are bounded: a smaller stream helps whoever reads it, but is not worth a minute. */
const MAX_TRIES = 300;

/**
 * A smaller stream that still fails: fewer units, fewer cuts, no pauses. `fails` runs a candidate. One that fails only now
 * and then comes back as it was, or nearly.
 */
export async function minimise(
  stream: Stream,
  fails: (candidate: Stream) => Promise<boolean>,
): Promise<Stream> {
  let smallest = stream;
  let tries = 0;
  const attempt = async (candidate: Stream): Promise<boolean> => {
    if (tries++ >= MAX_TRIES || !(await fails(candidate))) return false;
    smallest = candidate;
    return true;
  };
  if (!(await attempt(stream))) return stream;
  await attempt({ ...smallest, cuts: [] });
  await attempt({ ...smallest, isKeptAlive: false });
  await attempt({ ...smallest, isLateReader: false });
  await attempt({ ...smallest, manners: { upgradeTurns: 0, atOpen: 'nothing' } });
  await attempt({ ...smallest, lastPause: NO_PAUSE });
  for (let at = smallest.units.length - 1; at >= 0; at--) await attempt(withoutUnit(smallest, at));
  for (let at = smallest.cuts.length - 1; at >= 0; at--) await attempt(withoutCut(smallest, at));
  return smallest;
}
