import { eventually, freePort, makeCertificate, redisIsInstalled, startRedis } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { commandsOf, missingFrom, wayOf, withoutNpm } from './documents/commands.ts';
import type { Command } from './documents/commands.ts';
import { runInShell, runServerInShell } from './documents/shell.ts';
import { allSnippets, ofLanguage, snippet } from './documents/snippets.ts';
import type { Snippet } from './documents/snippets.ts';
import { SECRET, stageForAll, startFarm } from './documents/stage.ts';
import { API_KEY, connect, endAfterTest, info } from './harness/system.ts';

/** What a fence may say. `text` is for diagrams, where nothing can be tried; programs, configurations and answers have specs of their own (document-programs.test.ts, document-publishers.test.ts, document-configurations.test.ts; `dotenv` runs with the program below it; `log` is compared with what drills see: failures-guide.test.ts). */
const LANGUAGES = [
  'text',
  'sh',
  'js',
  'ts',
  'yaml',
  'http',
  'nginx',
  'haproxy',
  'dockerfile',
  'dotenv',
  'log',
].concat(['python', 'php', 'go', 'ruby']);

/** Blocks that cannot be tried, by their language. */
const CANNOT_RUN: Readonly<Record<string, string>> = {
  dockerfile: 'needs a Docker engine',
};

const stage = stageForAll();

describe('every block of the documents', () => {
  it('says by its first word what it is', () => {
    expect(allSnippets.length).toBeGreaterThan(40);
    const others = allSnippets.filter(({ language }) => !LANGUAGES.includes(language));
    expect(
      others.map(({ where, language }) => `${where}: \`\`\`${language}`),
      `Say what the block is: one of ${LANGUAGES.join(', ')}. For another language, add a way to try it to test/documents.test.ts, or the reason why it cannot be tried to CANNOT_RUN.`,
    ).toEqual([]);
  });

  it('is tried here, or there is a reason', () => {
    for (const [language, reason] of Object.entries(CANNOT_RUN)) {
      expect(reason.length).toBeGreaterThan(10);
      expect(ofLanguage(language).length, `no block is ${language} any more`).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(!redisIsInstalled())('commands for a shell', () => {
  const scripts = ['docs/guide/tokens.md'].map((document) => snippet(document, 'b64() {'));
  const commands = ofLanguage('sh')
    .filter((block) => !scripts.includes(block) && !isOneOf(scripts, block))
    .flatMap(commandsOf);

  it('are of a kind that is known, and name what is there', () => {
    for (const command of commands) {
      wayOf(command);
      expect(missingFrom(command.text), `${command.where}: ${command.text}`).toEqual([]);
    }
  });

  const tried = commands.filter((command) => isTried(command));

  it.each(tried.map((command): [string, Command] => [`${command.where}: ${command.text}`, command]))(
    '%s',
    async (_, command) => {
      const way = wayOf(command);
      switch ('run' in way && way.run) {
        case 'server':
          await tryServer(command);
          break;
        case 'check-config':
          expect(await runInShell(command.text)).toMatchObject({ code: 0, stderr: '' });
          break;
        case 'doctor': {
          // Whether this machine is one for so many is not the question.
          const { code, stderr } = await runInShell(command.text);
          expect([0, 71]).toContain(code);
          expect(stderr).toBe('');
          break;
        }
        case 'publish':
          await tryPublish(command);
          break;
        case 'redis': {
          const own = await startRedis();
          endAfterTest(() => own.stop());
          expect(await runInShell(toRedis(command.text, own))).toMatchObject({ code: 0, stdout: 'OK\n' });
          break;
        }
        case 'api': {
          const { code, stdout } = await runInShell(toFarm(command.text), {
            env: { ROOST_API_KEY: API_KEY },
          });
          expect([code, JSON.parse(stdout)]).toMatchObject([0, { result: {} }]);
          break;
        }
        case 'admin':
          await tryAdmin(command);
          break;
        case 'load':
          await tryLoad(command);
          break;
        default:
          throw new Error(`${command.where}: nobody tries "${command.text}".`);
      }
    },
  );

  it('docs/guide/tokens.md: the shell issues a token that opens a connection', async () => {
    const guarded = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
    const script = snippet('docs/guide/tokens.md', 'b64() {').text;
    const { stdout } = await runInShell(script, { env: { ROOST_TOKENS_SECRET: SECRET } });
    await connect(guarded, `/plain?channel=news&token=${stdout.trim()}`);
  });
});

function toFarm(text: string): string {
  return text.replaceAll(/(localhost|127\.0\.0\.1):8080/g, `127.0.0.1:${stage().farm.port}`);
}

function toRedis(text: string, other = stage().redis): string {
  return text
    .replaceAll(/(localhost|127\.0\.0\.1):6379/g, `127.0.0.1:${other?.port}`)
    .replace(/^redis-cli /, `redis-cli -p ${other?.port} `);
}

function isOneOf(blocks: readonly Snippet[], block: Snippet): boolean {
  return blocks.some(({ where }) => where === block.where);
}

function isTried(command: Command): boolean {
  try {
    return 'run' in wayOf(command);
  } catch {
    // Told by the test of the kinds.
    return false;
  }
}

function controlIn(command: string): { channel?: string; code: number; reason: string } {
  return JSON.parse(/'(\{.*\})'/.exec(command)?.[1] ?? '{}');
}

async function tryServer({ text }: Command): Promise<void> {
  const port = await freePort();
  const { cert, key } = makeCertificate();
  const certFile = await stage().programs.write('fullchain.pem', cert);
  const keyFile = await stage().programs.write('privkey.pem', key);
  const command = withoutNpm(text)
    .replace(/--port \d+/, `--port ${port}`)
    .replace('fullchain.pem', certFile)
    .replace('privkey.pem', keyFile);
  const outcome = await runServerInShell(toRedis(command), {
    env: {
      ROOST_PORT: String(port),
      ROOST_HOST: '127.0.0.1',
      ROOST_WORKERS: '1',
      ROOST_DRAIN_MS: '0',
      // Options about tokens are refused without a key.
      ...(text.includes('--tokens-') && { ROOST_TOKENS_SECRET: SECRET }),
    },
  });
  expect(outcome.stdout + outcome.stderr).toContain('"msg":"farm ready"');
}

/**
 * Whoever subscribes to the channel gets the message, or is disconnected as the control message says. One about a user is
 * taken: there is none here.
 */
async function tryPublish({ text }: Command): Promise<void> {
  const { farm } = stage();
  const client = await connect(farm, '/plain?channel=news');
  const { control_messages: before = 0 } = (await info(farm)).counters;
  const { code, stdout } = await runInShell(toRedis(text));
  expect(code).toBe(0);
  expect(Number(stdout)).toBeGreaterThan(0);
  if (!text.includes('roost:control')) {
    expect((await client.nextMessage()).text).toBe(text.split(' ').at(-1));
    return;
  }
  const { channel, code: closeCode, reason } = controlIn(text);
  if (channel !== undefined) expect(await client.closed).toMatchObject({ code: closeCode, reason });
  await eventually(async () =>
    expect((await info(farm)).counters).toMatchObject({ control_messages: before + 1 }),
  );
}

async function tryAdmin({ text }: Command): Promise<void> {
  const farm = await startFarm(['--admin-port', '0']);
  const { metrics } = await farm.log(({ msg }) => msg === 'admin listener open');
  const { code, stdout } = await runInShell(text.replace(/http:\S*/, String(metrics)));
  expect([code, stdout]).toEqual([0, expect.stringContaining('roost_upgrades_total{worker="0"} 0')]);
}

/** With fewer connections, and not as long. */
async function tryLoad({ text }: Command): Promise<void> {
  const command = toFarm(text)
    .replace(/^npx roost-load /, 'node apps/load/bin/roost-load.js ')
    .replace(/--connections \d+/, '--connections 50')
    .replace(/--hold \S+/, '--hold 1s')
    .replace(/--rate \S+/, '$& --hold 1s')
    // A busy machine may be as slow as it likes.
    .replace(/--expect-p99 \S+/, '--expect-p99 30s')
    .replace('X-API-Key: …', `X-API-Key: ${API_KEY}`);
  const { code, stdout, stderr } = await runInShell(command);
  expect(code, stdout + stderr).toBe(0);
}
