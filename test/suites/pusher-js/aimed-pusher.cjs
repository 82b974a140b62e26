const Pusher = require('core/pusher.js');

/** Ports as a list: `8080,8081`. */
const portsOf = (name) => process.env[name].split(',').map(Number);

let count = 0;

/**
 * The client that the specs make, aimed at the farms of PLAIN_PORTS and TLS_PORTS. Where there are several, each client goes
 * to the next one: what two clients have together goes from farm to farm.
 */
module.exports = class extends Pusher {
  constructor(key, options) {
    const portOf = (name) => {
      const ports = portsOf(name);
      return ports[count % ports.length];
    };
    super(key, {
      ...options,
      wsHost: 'localhost',
      wsPort: portOf('PLAIN_PORTS'),
      wssPort: portOf('TLS_PORTS'),
    });
    count += 1;
  }
};
