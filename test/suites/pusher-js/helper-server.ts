import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent } from 'node:https';
import { text } from 'node:stream/consumers';
import { listenLocally } from '@roost/testing';
import Pusher from 'pusher';

/** An app as its back end knows it. */
export interface HelpedApp {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
}

/** A farm that is to send what is triggered; `ca` where it speaks TLS. */
export interface TriggeredFarm {
  readonly port: number;
  readonly ca?: string;
}

/**
 * What the specs of pusher-js have beside their server: it allows every subscription, and triggers what it is asked to.
 * Paths begin with the name of an app in `apps`. Farms that share no Redis are all told what is triggered.
 */
export async function startHelperServer(
  apps: Readonly<Record<string, HelpedApp>>,
  farms: readonly TriggeredFarm[],
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const sdks = new Map(
    Object.entries(apps).map(([name, app]) => [name, farms.map((farm) => sdkOf(app, farm))]),
  );
  const server = createServer((request, response) => {
    answer(request, sdks).then(
      (body) => response.setHeader('Content-Type', 'application/json').end(body),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  const port = await listenLocally(server);
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sdkOf(app: HelpedApp, { port, ca }: TriggeredFarm): Pusher {
  const tls = ca === undefined ? { useTLS: false } : { useTLS: true, agent: new Agent({ ca }) };
  return new Pusher({ ...app, host: 'localhost', port: String(port), ...tls });
}

async function answer(
  request: IncomingMessage,
  sdks: ReadonlyMap<string, readonly Pusher[]>,
): Promise<string> {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://localhost');
  const [, name = '', action] = pathname.split('/');
  const [sdk, ...others] = sdks.get(name) ?? [];
  if (sdk === undefined) throw new Error(`There is no app ${name}.`);
  if (action === 'auth') {
    const form = new URLSearchParams(await text(request));
    const socketId = form.get('socket_id') ?? '';
    // Private channels get it, too: then it is part of what is signed.
    const member = {
      user_id: socketId,
      user_info: { name: `Integration ${socketId}`, email: `integration-${socketId}@example.com` },
    };
    return JSON.stringify(sdk.authorizeChannel(socketId, form.get('channel_name') ?? '', member));
  }
  const decoded = (key: string): string => Buffer.from(query.get(key) ?? '', 'base64').toString();
  for (const each of [sdk, ...others]) {
    await each.trigger(decoded('channel'), decoded('event'), JSON.parse(decoded('data')));
  }
  return '{}';
}
