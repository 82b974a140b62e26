import { readFileSync } from 'node:fs';
import { startTestFarm, UpgradeRefusedError } from '@roost/farm/testing';
import type { TestClient, TestFarm } from '@roost/farm/testing';
import { patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';

let farm: TestFarm | undefined;

afterEach(async () => {
  await farm?.stop();
  farm = undefined;
});

/** People run what the build made, and so does this. */
async function start(example: string): Promise<(path: string) => Promise<TestClient>> {
  const deadlineMs = patient(10_000);
  const app = new URL(`../dist/${example}.js`, import.meta.url);
  const started = await startTestFarm(app, { deadlineMs, startDeadlineMs: deadlineMs });
  farm = started;
  return (path) => started.connect(path);
}

describe('echo', () => {
  it('is what the guide shows', () => {
    const guide = new URL('../../../docs/guide/writing-an-app.md', import.meta.url);
    const source = readFileSync(new URL('./echo.ts', import.meta.url), 'utf8');
    expect(readFileSync(guide, 'utf8')).toContain(`\`\`\`ts\n${source}\`\`\`\n`);
  });

  it('sends text back as text and bytes as bytes', async () => {
    const connect = await start('echo');
    const client = await connect('/echo');
    client.send('hello');
    expect(await client.next()).toMatchObject({ text: 'hello', isBinary: false });
    client.send(Buffer.from('00ff', 'hex'));
    expect(await client.next()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
  });
});

describe('chat', () => {
  it('carries lines, arrivals and departures between the members of a room', async () => {
    const connect = await start('chat');
    const ann = await connect('/chat?room=nest&nick=ann');
    expect((await ann.next()).text).toBe('* ann joined');
    const bob = await connect('/chat?room=nest&nick=bob');
    const eve = await connect('/chat?room=tree&nick=eve');
    expect((await ann.next()).text).toBe('* bob joined');
    expect((await bob.next()).text).toBe('* bob joined');
    bob.send('hello');
    expect((await ann.next()).text).toBe('bob: hello');
    await bob.close();
    expect((await ann.next()).text).toBe('* bob left');
    await eve.roundTrip();
    expect(eve.waiting.map(({ text }) => text)).toEqual(['* eve joined']);
  });

  it('refuses a nick that could be mistaken for something else', async () => {
    const connect = await start('chat');
    await expect(connect('/chat?nick=*%20ann%20left')).rejects.toThrow(UpgradeRefusedError);
  });
});

describe('ticker', () => {
  it('sends each price to the subscribers of every worker, once', async () => {
    const connect = await start('ticker');
    // Placement is by least connections: one for each worker.
    const roo = await connect('/ticker?symbol=ROO');
    const both = await connect('/ticker?symbol=ROO&symbol=OWL');
    const price = await both.next();
    expect(JSON.parse(price.text)).toMatchObject({
      symbol: 'ROO',
      price: expect.stringMatching(/^\d+\.\d\d$/),
    });
    expect(JSON.parse((await both.next()).text)).toMatchObject({ symbol: 'OWL' });
    // The first client may have seen an earlier price, but then comes the one that the second saw first.
    await roo.nextWhere(({ text }) => text === price.text);
    expect((await roo.next()).text).toBe((await both.next()).text);
  });

  it('refuses who names no symbol it has', async () => {
    const connect = await start('ticker');
    await expect(connect('/ticker?symbol=XXX')).rejects.toMatchObject({ status: 400 });
  });
});
