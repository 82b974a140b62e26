import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Runs before the specs: says what they need and cannot install themselves, one sentence each. */

/** Where the specs of the page look for it. */
const CHROMIUM = '/usr/bin/chromium';

if (!(process.env.PATH ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'redis-server')))) {
  process.stderr.write(
    'The specs need a redis-server and found none in PATH: run "apt-get install redis-server".\n',
  );
  process.exitCode = 1;
}

if (!isProgram(CHROMIUM)) {
  process.stdout.write(
    `There is no ${CHROMIUM}, so the specs of the page will be skipped: "apt-get install chromium" brings them in.\n`,
  );
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
