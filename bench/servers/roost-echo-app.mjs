import { accept, defineApp } from '@roost/farm';

export default defineApp({
  upgrade: () => accept(),
  message(connection, data, isBinary) {
    connection.send(data, isBinary);
  },
});
