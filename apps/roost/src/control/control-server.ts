import { chmodSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { FarmError } from '@roost/farm';
import type { ChangeOutcome, Farm, Log } from '@roost/farm';
import { peerUserOf } from '@roost/farm/checks';
import { UserAppError } from '../worker/user-app-error.ts';
import { Lines } from './lines.ts';
import {
  commandSchema,
  MAX_LINE_BYTES,
  type ChangeCommand,
  type ControlAnswer,
  type ControlCommand,
} from './messages.ts';

/** How often progress is told. */
const PROGRESS_MS = 200;
/** Clients at a time. */
const MAX_CLIENTS = 16;
/** A client that has said nothing for so long is no command of ours. */
const IDLE_MS = 10_000;
const OWNER_ONLY = 0o600;
const ROOT = 0;

/** A control socket that cannot be opened. `reason` is the code of the system's error. */
export class ControlListenError extends Error {
  readonly code = 'CONTROL_ERR_LISTEN';
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`The control socket ${path} cannot be opened (${reason}).`);
    this.name = 'ControlListenError';
    this.reason = reason;
  }
}

/**
 * Takes commands for a running farm from a Unix socket: a line of JSON from the client, and lines of JSON back. Only its own user and
 * root are heard: by the permissions of the socket, and by what the kernel says of the other end. What a command has begun goes
 * on when its client leaves.
 */
export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #log: Log;
  readonly #sockets = new Set<Socket>();
  #farm: Farm | undefined;

  private constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
    this.#server = createServer((socket) => this.#accepted(socket));
    this.#server.maxConnections = MAX_CLIENTS;
  }

  /** Rejects with a ControlListenError. What a farm that was killed has left behind is replaced. */
  static async open(path: string, log: Log): Promise<ControlServer> {
    const control = new ControlServer(path, log);
    try {
      await control.#listen();
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' || (await isAnswered(path))) {
        throw new ControlListenError(path, codeOf(error));
      }
      // Nobody answers at a file either.
      if (!isSocket(path)) throw new ControlListenError(path, 'EEXIST');
      try {
        unlinkSync(path);
        await control.#listen();
      } catch (again) {
        throw new ControlListenError(path, codeOf(again));
      }
    }
    return control;
  }

  /** From now on there is a farm to command. */
  serve(farm: Farm): void {
    this.#farm = farm;
    this.#log.debug({ path: this.path }, 'control socket open');
  }

  /** Removes the socket from the file system. */
  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      // The socket is never there with more than its permissions: it is made before listen() returns.
      const mask = process.umask(0o177);
      try {
        this.#server.listen(this.path, () => {
          this.#server.off('error', reject);
          this.#server.on('error', (error) => this.#log.error({ err: error }, 'control socket failed'));
          chmodSync(this.path, OWNER_ONLY);
          resolve();
        });
      } finally {
        process.umask(mask);
      }
    });
  }

  #accepted(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const user = peerUserOf(socket);
    if (user !== ROOT && user !== process.getuid?.()) {
      this.#log.warn({ user }, 'control socket: refused another user');
      socket.destroy();
      return;
    }
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    let isAsked = false;
    const lines = new Lines(
      MAX_LINE_BYTES,
      (line) => {
        socket.setTimeout(0);
        // One command for each connection.
        if (!isAsked) this.#told(socket, line);
        isAsked = true;
      },
      () => socket.destroy(),
    );
    socket.setEncoding('utf8').on('data', lines.write);
  }

  #told(socket: Socket, line: string): void {
    const answer = (given: ControlAnswer): void => {
      if (!socket.writable) return;
      // A client that does not read gets the last word only.
      if ('progress' in given && socket.writableLength > 0) return;
      const text = `${JSON.stringify(given)}\n`;
      if ('progress' in given) {
        socket.write(text);
        return;
      }
      // It has its answer, or never reads it: either way it is not to keep others out.
      socket.setTimeout(IDLE_MS);
      socket.end(text);
    };
    const command = commandOf(line);
    const farm = this.#farm;
    if (command === undefined)
      answer({ refused: 'This is no command of this version of Roost.', code: 'CONTROL_ERR_COMMAND' });
    else if (farm === undefined) answer({ refused: 'The farm is starting.', code: 'FARM_ERR_STOPPED' });
    else if (command.command === 'status') answer({ status: farm.changes.status() });
    else {
      this.#change(farm, command, answer).catch((error: unknown) => {
        this.#log.error({ err: error }, 'control command failed');
        answer({ refused: 'It failed: the log of the farm says why.', code: 'CONTROL_ERR_FAILED' });
      });
    }
  }

  async #change(farm: Farm, command: ChangeCommand, answer: (given: ControlAnswer) => void): Promise<void> {
    this.#log.info({ ...command }, 'control command');
    const outcome = changed(farm, command);
    const timer = setInterval(() => {
      const { current } = farm.changes.status();
      if (current !== undefined) answer({ progress: current });
    }, PROGRESS_MS);
    try {
      const { report, stoppedBy, lostBy } = await outcome;
      if (lostBy !== undefined) answer({ lost: report, reason: lostBy });
      else if (stoppedBy === undefined) answer({ done: report });
      // The name of our own error says nothing to people.
      else answer({ stopped: report, reason: stoppedBy.replace(`${UserAppError.name}: `, '') });
    } catch (error) {
      if (!(error instanceof FarmError)) throw error;
      answer({ refused: error.message, code: error.code });
    } finally {
      clearInterval(timer);
    }
  }
}

function changed({ changes }: Farm, command: ChangeCommand): Promise<ChangeOutcome> {
  switch (command.command) {
    case 'reload':
      return changes.reload();
    case 'canary':
      return changes.startCanary(command.share);
    case 'continue':
      return changes.continueCanary();
    case 'rollback':
      return changes.rollBackCanary();
    case 'workers':
      return changes.resize(command.workers);
    case 'rebalance':
      return changes.rebalance();
    default:
      throw new TypeError(`an unknown command: ${JSON.stringify(command)}`);
  }
}

function commandOf(line: string): ControlCommand | undefined {
  try {
    return commandSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Whether somebody listens there: what a process that was killed has left refuses. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (isIt: boolean): void => {
      socket.destroy();
      resolve(isIt);
    };
    socket.on('connect', () => settle(true));
    socket.on('error', (error) => settle(codeOf(error) !== 'ECONNREFUSED'));
  });
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
