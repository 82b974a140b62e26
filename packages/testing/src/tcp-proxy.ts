import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { eventually } from './eventually.ts';
import { registerFixture } from './fixtures.ts';
import { listenLocally } from './free-port.ts';

/** A connection through the proxy. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * A network between a client and a server on 127.0.0.1, for specs of what networks do. New connections go to `target`, which
 * may change; those there are stay where they are, as after a failover behind a name. What arrived from a client before it
 * ended, or was reset, is delivered to the server.
 */
export class TcpProxy {
  /** The port that the next connections go to. */
  target: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #release: () => void;
  #port = 0;

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#connect(client));
    this.#release = registerFixture({ what: `proxy to port ${target}`, terminate: () => void this.stop() });
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#port = await listenLocally(proxy.#server);
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /**
   * Reads nothing more from one client: its bytes stay in the kernel, on both sides. Answers to it are lost from here on. `port`
   * is where its connection comes from for the server (`addr` of CLIENT LIST).
   */
  hold(port: number): void {
    const { client, server } = this.#linkFrom(port);
    client.pause();
    server.removeAllListeners('data').resume();
  }

  /** Lets no more than so many bytes a second come from the server to one client, until its connection ends. `port` as above. */
  throttle(port: number, bytesPerSecond: number): void {
    const { client, server } = this.#linkFrom(port);
    server.removeAllListeners('data').on('data', (chunk) => {
      client.write(chunk);
      server.pause();
      setTimeout(() => server.resume(), (chunk.length / bytesPerSecond) * 1000).unref();
    });
  }

  /** Goes on reading from a client that is held. Resolves when its connection is over. */
  async release(port: number): Promise<void> {
    const link = this.#linkFrom(port);
    link.client.resume();
    await eventually(() => !this.#links.has(link), { what: 'the connection that was held is over' });
  }

  async stop(): Promise<void> {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    this.#release();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #linkFrom(port: number): Link {
    const link = [...this.#links].find(({ server }) => server.localPort === port);
    if (link === undefined) throw new Error(`No connection to the server comes from port ${port}.`);
    return link;
  }

  #connect(client: Socket): void {
    const server = connect({ host: '127.0.0.1', port: this.target, allowHalfOpen: true });
    const link: Link = { client, server };
    this.#links.add(link);
    client.on('data', (chunk) => server.write(chunk));
    server.on('data', (chunk) => client.write(chunk));
    client.on('end', () => server.end());
    server.on('end', () => client.end());
    // 'close' follows.
    client.on('error', () => {});
    server.on('error', () => client.destroy());
    client.on('close', () => {
      // After a reset, too: what was read is delivered before.
      server.end();
      this.#links.delete(link);
    });
    server.on('close', () => client.destroy());
  }
}
