import { afterAll, afterEach, aroundAll, beforeEach, it } from 'vitest';
import { registerFixture } from '../fixtures.ts';
import { installLeakChecks } from '../leak-checks.ts';
import { spawnGroup } from '../process-group.ts';

installLeakChecks({ aroundAll, beforeEach });

afterEach(() => {
  throw new Error('a hook behind the test');
});

afterAll(() => {
  throw new Error('a hook behind the file');
});

/** Runs until it is killed. */
function startSleeper(seconds: string): void {
  const child = spawnGroup('sleep', [seconds]);
  process.stdout.write(`SLEEPER ${child.pid}\n`);
}

it('throws while its fixture runs', () => {
  const release = registerFixture({
    what: 'a fixture',
    terminate: () => {
      process.stdout.write('FIXTURE ENDED\n');
      release();
    },
  });
  throw new Error('the body');
});

it('leaves a process that is no fixture', () => {
  startSleeper('600');
});

it.runIf(process.env['DIES'] === '1')('is killed', () => {
  startSleeper('600');
  process.kill(process.pid, 'SIGKILL');
});
