const path = require('node:path');

/**
 * How pusher-js builds its own integration suite, in a copy of the package that is the working directory. Ours is only where
 * its specs find their server, and which compiler reads its TypeScript.
 */
const theirs = require(path.resolve('spec/config/jasmine/webpack.integration.js'));

const compiler = { compiler: require.resolve('typescript'), onlyCompileBundledFiles: true };

module.exports = {
  ...theirs,
  module: {
    ...theirs.module,
    rules: theirs.module.rules.map((rule) =>
      rule.loader === 'ts-loader' ? { ...rule, options: compiler } : rule,
    ),
  },
  resolve: {
    ...theirs.resolve,
    // What they import by these names is in the copy, also for our two modules, which are not.
    modules: [...theirs.resolve.modules, path.resolve('src'), path.resolve('spec/javascripts/helpers')],
    alias: {
      ...theirs.resolve.alias,
      pusher_integration: path.join(__dirname, 'aimed-pusher.cjs'),
      integration: path.join(__dirname, 'integration.cjs'),
    },
  },
};
