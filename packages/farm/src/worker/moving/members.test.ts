import { describe } from 'vitest';
import { describeMembers } from './members.contract.ts';

describe('members of a channel on the embedded broker', () => {
  describeMembers({
    optionsOf: () => Promise.resolve([{}, {}]),
    // The exchange sees the end of a worker's link.
    cut: () => Promise.resolve(),
    removed: () => Promise.resolve(),
    end: () => Promise.resolve(),
  });
});
