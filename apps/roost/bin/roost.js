#!/usr/bin/env node
// In the oldest syntax, and as a script or a module alike: an old Node must get as far as the sentence.
/* oxlint-disable no-var, unicorn/prefer-top-level-await */
var found = process.versions.node;
var parts = found.split('.');
if (Number(parts[0]) < 20 || (Number(parts[0]) === 20 && Number(parts[1]) < 19)) {
  fail(
    'Roost needs Node.js 20.19 or newer, and ' +
      process.execPath +
      ' is ' +
      found +
      '. Install a newer one, and run it with that.',
  );
} else {
  import('../dist/main.js').then(undefined, function (error) {
    if (error.code === 'EMFILE' || isUnread(error)) {
      fail(
        'Roost cannot load its modules: too few files may be open. Raise the limit: "ulimit -n 65536", as root.',
      );
    } else if (error.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).indexOf('dist') !== -1) {
      fail('Roost is not built, or not as a whole. Build it: npm ci && npm run build');
    } else {
      throw error;
    }
  });
}

/** Whether a package counts as absent although it is there: Node.js had no descriptor left to read its package.json with. */
function isUnread(error) {
  var unread = /^Cannot find package '(.+)\/index\.js' imported from/.exec(error.message);
  return unread !== null && process.getBuiltinModule('node:fs').existsSync(unread[1] + '/package.json');
}

function fail(sentence) {
  process.stderr.write(sentence + '\n');
  // See exit-codes.ts: the machine did not give what the farm needs.
  process.exit(71);
}
