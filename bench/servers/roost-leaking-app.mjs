import { openSync } from 'node:fs';
import { accept, defineApp } from '@roost/farm';

/**
 * Does wrong what an application can do wrong, for the spec that the soak sees it: keeps memory of each message, and
 * memory and a descriptor of each connection, for ever, does not echo one message of a connection, and ends a few connections that should stay.
 */
const KEPT_BYTES = 2 * 1024 * 1024;
const SWALLOWED = 3;
const kept = [];
let opened = 0;

export default defineApp({
  upgrade: () => accept({ attachment: { messages: 0 } }),
  open(connection) {
    kept.push(Buffer.alloc(KEPT_BYTES, 1), openSync('/dev/null', 'r'));
    if (++opened % 10 === 0) connection.close(4900, 'for no reason');
  },
  message(connection, data, isBinary) {
    kept.push(Buffer.alloc(KEPT_BYTES, 1));
    const messages = connection.attachment.messages + 1;
    connection.attachment = { messages };
    if (messages !== SWALLOWED) connection.send(data, isBinary);
  },
});
