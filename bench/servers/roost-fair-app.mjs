import { accept, defineApp } from '@roost/farm';

const HOARD_BYTES = 16 * 1024;

/** Echoes on /echo; elsewhere subscribes to `channel`, and sends a client that asks for `n` as many buffers of its own. */
export default defineApp({
  upgrade({ path, query }) {
    if (path === '/fair/echo') return accept();
    return path === '/fair' ? accept({ attachment: true, channels: query.getAll('channel') }) : undefined;
  },
  message(connection, data, isBinary) {
    if (connection.attachment === undefined) {
      connection.send(data, isBinary);
      return;
    }
    for (let left = Number(data.toString()); left > 0; left--) {
      if (!connection.send(Buffer.alloc(HOARD_BYTES))) return;
    }
  },
});
