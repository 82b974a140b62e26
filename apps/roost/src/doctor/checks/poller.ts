import type { ProbeCheck } from './probe-check.ts';

export const poller: ProbeCheck = {
  name: 'native poller',
  judge({ probes: { pollerProblem } }) {
    return {
      status: pollerProblem === undefined ? 'ok' : 'fail',
      found: pollerProblem === undefined ? 'it loads' : 'it does not load',
      needed: 'a binary for this machine',
      why: pollerProblem ?? 'All sockets are read and written by it.',
      fix: [{ line: 'npm rebuild @roost/poller', where: 'with a C++ compiler' }],
    };
  },
};
