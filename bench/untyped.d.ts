interface Buffer {
  /** What `toString('latin1', start, end)` calls; @types/node leaves it out. */
  latin1Slice(start: number, end: number): string;
}

/** As much of Bun as the peer uses; it is run by Bun, which is fetched. */
declare var Bun: {
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    fetch(request: Request, server: BunServer): Response | undefined;
    readonly websocket: {
      readonly perMessageDeflate: boolean;
      open(socket: BunSocket): void;
      message(socket: BunSocket, message: string | Buffer): void;
    };
  }): BunServer;
  readonly RedisClient: new (url: string) => {
    subscribe(channel: string, listener: (payload: string) => void): Promise<void>;
  };
};

interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
  publish(topic: string, message: string): void;
}

interface BunSocket {
  subscribe(topic: string): void;
  send(message: string | Buffer): void;
}
