import { cp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import webpack from 'webpack';

/**
 * Builds the integration suite of pusher-js: `node build.mjs`. It needs a copy of the package outside of node_modules, where
 * ts-loader compiles nothing; test/suites/build/ is not in git, and Node.js finds there what the suite imports.
 */
const require = createRequire(import.meta.url);
const copy = fileURLToPath(new URL('../build/pusher-js', import.meta.url));
await rm(copy, { recursive: true, force: true });
await cp(dirname(require.resolve('pusher-js/package.json')), copy, { recursive: true });

process.chdir(copy);
// Their configuration reads these. A runner of tests may have set MODE, too.
Object.assign(process.env, { MODE: 'production', MINIMIZE: 'false' });
const stats = await new Promise((resolve, reject) => {
  webpack(require('./webpack.config.cjs'), (error, result) => (error ? reject(error) : resolve(result)));
});
if (stats.hasErrors()) {
  process.stderr.write(`${stats.toString({ all: false, errors: true })}\n`);
  process.exitCode = 1;
}
