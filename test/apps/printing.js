const actions = {
  /** Prints so many lines of 1,000 characters. */
  print(count) {
    for (let line = 0; line < Number(count); line++) console.log('x'.repeat(1000));
  },
  /** As a library may, without care for errors. */
  write() {
    process.stdout.write('written to stdout\n');
    process.stderr.write('written to stderr\n');
    process.emitWarning('a warning of the application');
  },
  throw() {
    setTimeout(() => {
      throw new Error('a timer threw');
    });
  },
  reject() {
    void Promise.reject(new Error('nobody handles this'));
  },
};

/** The application of logs.test.ts and app-errors.test.ts: does what a message says, and sends it back. */
export default {
  name: 'printing',
  upgrade: () => ({ kind: 'accept' }),
  message(connection, data, isBinary) {
    const [action, argument] = data.toString().split(' ');
    actions[action]?.(argument);
    connection.send(data, isBinary);
  },
};
