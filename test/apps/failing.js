let messageCount = 0;

/** The application of app-errors.test.ts: every tenth message of a worker fails, half of them later than at once. */
export default {
  name: 'failing',
  upgrade({ path, query }) {
    if (query.has('throw')) throw new Error('the upgrade hook throws');
    if (query.has('reject')) return Promise.reject(new Error('the upgrade hook rejects'));
    if (query.has('nonsense')) return { kind: 'perhaps' };
    return { kind: 'accept', attachment: path };
  },
  open({ attachment }) {
    if (attachment === '/open-throws') throw new Error('the open hook throws');
  },
  message(connection, data, isBinary) {
    if (connection.attachment === '/close-throws') {
      connection.send(data, isBinary);
      return undefined;
    }
    messageCount += 1;
    if (messageCount % 20 === 0) return Promise.reject(new Error('the message hook rejects'));
    if (messageCount % 10 === 0) throw new Error('the message hook throws');
    connection.send(data, isBinary);
    return undefined;
  },
  close({ attachment }) {
    if (attachment === '/close-throws') throw new Error('the close hook throws');
  },
  http({ url }) {
    if (url === '/throw') throw new Error('the http hook throws');
    if (url === '/reject') return Promise.reject(new Error('the http hook rejects'));
    return false;
  },
};
