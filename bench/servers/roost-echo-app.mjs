import { accept, defineApp } from '@roost/farm';

const channels = process.env.CHANNEL === undefined ? [] : [process.env.CHANNEL];

export default defineApp({
  upgrade: () => accept({ channels }),
  message(connection, data, isBinary) {
    connection.send(data, isBinary);
  },
});
