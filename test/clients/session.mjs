/**
 * One session of a client on a farm with the probe app, in whatever implements the WebSocket of browsers. Answers what
 * it saw, for real-clients.test.ts to compare. A browser is given it as text, so it uses nothing from outside.
 *
 * @param {new (url: string) => object} Implementation
 * @param {string} url of the farm: ws://host:port
 * @returns {Promise<object>}
 */
export async function session(Implementation, url) {
  class Client {
    constructor(path) {
      this.messages = [];
      this.wake = () => undefined;
      this.socket = new Implementation(url + path);
      this.socket.binaryType = 'arraybuffer';
      this.socket.addEventListener('message', ({ data }) => {
        this.messages.push(typeof data === 'string' ? data : Array.from(new Uint8Array(data)));
        this.wake();
      });
      this.closed = new Promise((resolve) => {
        this.socket.addEventListener('close', ({ code, reason, wasClean }) => {
          resolve({ code, reason, wasClean });
        });
      });
    }

    static open(path) {
      const client = new Client(path);
      return new Promise((resolve, reject) => {
        client.socket.addEventListener('open', () => resolve(client));
        client.socket.addEventListener('error', () => reject(new Error(`${path} was not opened`)));
      });
    }

    async next() {
      while (this.messages.length === 0) {
        await new Promise((resolve) => {
          this.wake = resolve;
        });
      }
      return this.messages.shift();
    }

    echo(data) {
      this.socket.send(data);
      return this.next();
    }
  }

  const seen = {};
  const client = await Client.open('/echo');
  seen.isCompressed = client.socket.extensions.startsWith('permessage-deflate');
  seen.text = await client.echo('Hello-µ@ßöäüàá-UTF-8!! 🐓');
  seen.empty = await client.echo('');
  seen.binary = await client.echo(new Uint8Array([0, 255, 254, 128]));
  const long = 'x'.repeat(60_000);
  seen.long = (await client.echo(long)) === long;
  for (let count = 0; count < 500; count++) client.socket.send(`message ${count}`);
  seen.inOrder = true;
  for (let count = 0; count < 500; count++) {
    if ((await client.next()) !== `message ${count}`) seen.inOrder = false;
  }
  client.socket.close(4321, 'bye, ✓');
  seen.closedByUs = await client.closed;

  const reader = await Client.open('/news?channel=real');
  const writer = await Client.open('/news?channel=other');
  writer.socket.send('real published');
  seen.publication = await reader.next();
  writer.socket.close();
  seen.closedWithoutCode = (await writer.closed).wasClean;

  const large = await Client.open('/echo');
  large.socket.send('x'.repeat(65_537));
  seen.tooLarge = (await large.closed).code;

  seen.refused = await Client.open('/nobody').then(
    () => false,
    () => true,
  );
  reader.socket.close();
  await reader.closed;
  return seen;
}
