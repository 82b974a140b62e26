import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';

/** Where the admin listener would listen, and whether it could. */
export interface AdminPort {
  readonly host: string;
  readonly port: number;
  /** The code of listen(2), such as `EADDRINUSE`; undefined when it could. */
  readonly problem: string | undefined;
  /** Whether the admin listener of a Roost answers there now. */
  readonly isRoostThere: boolean;
}

/** Long for an answer of the same host. */
const ANSWER_MS = 2000;

/** Listens for a moment where the admin listener would, and asks who is there if it cannot. */
export async function probeAdminPort(host: string, port: number): Promise<AdminPort> {
  const problem = await listenProblem(host, port);
  return {
    host,
    port,
    problem,
    isRoostThere: problem === 'EADDRINUSE' && (await answersAsAdmin(host, port)),
  };
}

async function listenProblem(host: string, port: number): Promise<string | undefined> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  server.close();
  await once(server, 'close');
  return undefined;
}

/** Who shows no token is told whom he has asked. */
async function answersAsAdmin(host: string, port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  try {
    const request = get({ host: address, port, path: '/api', signal });
    const [response]: IncomingMessage[] = await once(request, 'response', { signal });
    response?.resume();
    return response?.headers['www-authenticate']?.includes('realm="roost admin"') === true;
  } catch {
    return false;
  }
}
