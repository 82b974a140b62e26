import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './snippets.ts';
import type { Snippet } from './snippets.ts';

/** A command of a shell snippet, with what it needs around it. */
export interface Command {
  readonly where: string;
  readonly text: string;
}

type Kind = 'admin' | 'server' | 'check-config' | 'doctor' | 'publish' | 'redis' | 'api' | 'load' | 'script';

/** How a command is tried, or why it cannot be. The first row that matches counts. */
export type Way =
  | { readonly matches: RegExp; readonly run: Kind }
  | { readonly matches: RegExp; readonly cannotRun: string };

const SERVER = String.raw`(?:npm start|node apps\/roost\/bin\/roost\.js start)\b`;
const VARIABLES = String.raw`(?:\w+=(?:"[^"]*"|\S*) )*`;

const WAYS: readonly Way[] = [
  { matches: new RegExp(`^${VARIABLES}${SERVER}`), run: 'server' },
  { matches: /^node apps\/roost\/bin\/roost\.js check-config\b/, run: 'check-config' },
  { matches: /^node apps\/roost\/bin\/roost\.js doctor\b/, run: 'doctor' },
  {
    matches: /^node apps\/roost\/bin\/roost\.js reload\b/,
    cannotRun: 'needs a farm that runs; control.system.test.ts gives it one',
  },
  { matches: /^redis-cli PUBLISH /, run: 'publish' },
  { matches: /^redis-cli /, run: 'redis' },
  { matches: /^curl \S*:8081\/metrics$/, run: 'admin' },
  { matches: /^curl (?:--fail-with-body )?\S*\/api\//, run: 'api' },
  {
    matches: /^node apps\/load\/bin\/roost-load\.js .*EIO=4/,
    cannotRun: 'needs a Socket.IO, which is fetched by the bench only',
  },
  {
    matches: /^node apps\/load\/bin\/roost-load\.js .*--phantom/,
    cannotRun: 'needs root; phantom.system.test.ts does the same',
  },
  {
    matches: /^node apps\/examples\/dist\//,
    cannotRun: 'does not end; presence-chat.system.test.ts runs it',
  },
  { matches: /^nsenter /, cannotRun: 'needs the namespace of a run' },
  { matches: /^node apps\/load\/bin\/roost-load\.js /, run: 'load' },
  { matches: /^npx roost-load /, run: 'load' },
  {
    matches: /^(?:npm install |pnpm (?:add|install) |npx roost-server |npx esbuild |node node_modules\/)/,
    cannotRun: 'needs the packages in a project of their own, as test/packages.test.ts has them',
  },
  {
    matches: /^node scripts\/pack\.mjs /,
    cannotRun: 'packs every package, as test/packages.test.ts has it done',
  },
  { matches: /^npm run release\b/, cannotRun: 'needs a clean checkout, and cross compilers' },
  {
    matches: /^npm create roost-app |^npm install$/,
    cannotRun: 'fetches from npm; init.system.test.ts does the same with the packages of this checkout',
  },
  {
    matches: /^node_modules\/\.bin\/roost start dist\/app\.js$/,
    cannotRun: 'is for a project; init.system.test.ts does it there',
  },
  { matches: /^npm ci$/, cannotRun: 'installs what the specs run on' },
  { matches: /^npm prune /, cannotRun: 'removes what the specs run on' },
  { matches: /^npm (?:run (?:build|check)|test)\b/, cannotRun: 'is what CI runs around the specs' },
  { matches: /^npm run (?:bench|soak)|^node bench\//, cannotRun: 'takes minutes to hours' },
  {
    matches: /^npm run (?:fuzz|dev|drills)\b/,
    cannotRun:
      'takes minutes, or does not end; short runs of the fuzzer and of the drills are specs of their own',
  },
  { matches: /^ssh /, cannotRun: 'needs another machine' },
  { matches: /^docker /, cannotRun: 'needs a Docker engine' },
  {
    matches: /^(?:kubectl|helm) /,
    cannotRun: 'needs a cluster; kubernetes.test.ts validates what it is given',
  },
  { matches: /^apt-get /, cannotRun: 'installs for the whole machine, as .ci/run does' },
  {
    matches: /^(?:systemctl|sysctl|install|cp|cd|echo|export|ulimit) /,
    cannotRun: 'changes the machine or the shell',
  },
];

/** The commands of a shell snippet: those of a line that go together by `&&` apart, and without comments. */
export function commandsOf({ text, where }: Snippet): Command[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(?:^|\s+)#\s.*$/, '').trim())
    .flatMap((line) => line.split(' && '))
    .map((command) => ({ where, text: command.replaceAll(/\s+/g, ' ') }))
    .filter(({ text: command }) => command !== '');
}

/** Throws for a command that nobody knows, with what to do. */
export function wayOf({ where, text }: Command): Way {
  const way = WAYS.find(({ matches }) => matches.test(text));
  if (way !== undefined) return way;
  throw new Error(
    `${where}: nobody knows how to try the command "${text}". Give it a row in test/documents/commands.ts: a way to run it, or the reason why it cannot run.`,
  );
}

/** What a command names of this repository and is not there: scripts of npm, and files. */
export function missingFrom(command: string): string[] {
  const missing: string[] = [];
  const { scripts } = manifest();
  const script = /\bnpm (?:run )?([\w:]+)/.exec(command)?.[1];
  if (
    script !== undefined &&
    !['ci', 'prune', 'install'].includes(script) &&
    !Object.hasOwn(scripts, script)
  ) {
    missing.push(`npm run ${script}`);
  }
  for (const [path] of command.matchAll(
    /\b(?:apps|infra|bench|packages|scripts|docs)\/[\w./-]+(?![<\w./-])/g,
  )) {
    if (!existsSync(join(ROOT, path))) missing.push(path);
  }
  return missing;
}

/** `npm start -- …` as npm would run it, without building before. */
export function withoutNpm(command: string): string {
  const { start = '' } = manifest().scripts;
  return command.replace(/\bnpm start(?: --(?= ))?/, start.replace(/^exec /, ''));
}

function manifest(): { readonly scripts: Readonly<Record<string, string>> } {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}
