import { accept, defineApp } from '@roost/farm';

/** ws://localhost:8080/echo sends every message back to its sender: text as text, bytes as bytes. */
export default defineApp({
  upgrade(request) {
    return request.path === '/echo' ? accept() : undefined;
  },
  message(connection, data, isBinary) {
    connection.send(data, isBinary);
  },
});
