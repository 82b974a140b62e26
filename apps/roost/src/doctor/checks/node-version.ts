import type { ProbeCheck } from './probe-check.ts';

/** As in "engines" of package.json. */
const OLDEST = [20, 19] as const;

export const nodeVersion: ProbeCheck = {
  name: 'Node.js',
  judge({ probes: { node, arch } }) {
    const [major = 0, minor = 0] = node.split('.').map(Number);
    const isNewEnough = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
    return {
      status: isNewEnough ? 'ok' : 'fail',
      found: `${node} on ${arch}`,
      needed: `${OLDEST.join('.')} or newer`,
      why: 'Older ones lack what Roost is made of.',
      fix: [{ line: 'https://nodejs.org/en/download', where: 'the version that is called LTS' }],
    };
  },
};
