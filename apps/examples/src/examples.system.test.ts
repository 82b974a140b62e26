import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startServer, TestClient, UpgradeRefusedError } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';

let farm: FarmProcess | undefined;
const clients: TestClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.terminate()));
  await farm?.stop();
  farm = undefined;
});

/** People run what the build made, and so does this. */
async function start(example: string): Promise<void> {
  const app = fileURLToPath(new URL(`../dist/${example}.js`, import.meta.url));
  farm = await startServer([app, '--workers', '2', '--drain-ms', '0']);
}

async function connect(path: string): Promise<TestClient> {
  const client = await TestClient.connect(`${farm?.url}${path}`);
  clients.push(client);
  return client;
}

describe('echo', () => {
  it('is what the guide shows', () => {
    const guide = new URL('../../../docs/guide/writing-an-app.md', import.meta.url);
    const source = readFileSync(new URL('./echo.ts', import.meta.url), 'utf8');
    expect(readFileSync(guide, 'utf8')).toContain(`\`\`\`ts\n${source}\`\`\`\n`);
  });

  it('sends text back as text and bytes as bytes', async () => {
    await start('echo');
    const client = await connect('/echo');
    client.send('hello');
    expect(await client.nextMessage()).toMatchObject({ text: 'hello', isBinary: false });
    client.send(Buffer.from('00ff', 'hex'));
    expect(await client.nextMessage()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
  });
});

describe('chat', () => {
  it('carries lines, arrivals and departures between the members of a room', async () => {
    await start('chat');
    const ann = await connect('/chat?room=nest&nick=ann');
    expect((await ann.nextMessage()).text).toBe('* ann joined');
    const bob = await connect('/chat?room=nest&nick=bob');
    const eve = await connect('/chat?room=tree&nick=eve');
    expect((await ann.nextMessage()).text).toBe('* bob joined');
    expect((await bob.nextMessage()).text).toBe('* bob joined');
    bob.send('hello');
    expect((await ann.nextMessage()).text).toBe('bob: hello');
    await bob.close();
    expect((await ann.nextMessage()).text).toBe('* bob left');
    await eve.roundTrip();
    expect(eve.waitingMessages.map(({ text }) => text)).toEqual(['* eve joined']);
  });

  it('refuses a nick that could be mistaken for something else', async () => {
    await start('chat');
    await expect(connect('/chat?nick=*%20ann%20left')).rejects.toThrow(UpgradeRefusedError);
  });
});

describe('ticker', () => {
  it('sends each price to the subscribers of every worker, once', async () => {
    await start('ticker');
    // Placement is by least connections: one for each worker.
    const roo = await connect('/ticker?symbol=ROO');
    const both = await connect('/ticker?symbol=ROO&symbol=OWL');
    const price = await both.nextMessage();
    expect(JSON.parse(price.text)).toMatchObject({
      symbol: 'ROO',
      price: expect.stringMatching(/^\d+\.\d\d$/),
    });
    expect(JSON.parse((await both.nextMessage()).text)).toMatchObject({ symbol: 'OWL' });
    // The first client may have seen an earlier price, but then comes the one that the second saw first.
    let seen = await roo.nextMessage();
    while (seen.text !== price.text) seen = await roo.nextMessage();
    expect((await roo.nextMessage()).text).toBe((await both.nextMessage()).text);
  });

  it('refuses who names no symbol it has', async () => {
    await start('ticker');
    await expect(connect('/ticker?symbol=XXX')).rejects.toMatchObject({ status: 400 });
  });
});
