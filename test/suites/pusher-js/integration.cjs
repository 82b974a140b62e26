const theirs = require('node/integration');

/** Their helpers, with the addresses of our helper server (HELPER_URL) in place of ports 3000 and 3001. */
module.exports = {
  ...theirs,
  API_URL: `${process.env.HELPER_URL}/mt1`,
  API_EU_URL: `${process.env.HELPER_URL}/eu`,
};
