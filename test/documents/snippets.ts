import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A fenced block of a document. */
export interface Snippet {
  /** From the root: `docs/guide/tokens.md`. */
  readonly document: string;
  /** `docs/guide/tokens.md:13`: the line of its fence. */
  readonly where: string;
  /** The first word behind the fence; empty when there is none. */
  readonly language: string;
  readonly text: string;
}

/** What people read to use Roost. Decisions and the change log tell of times that are over. */
export function documents(): string[] {
  const readmes = ['packages', 'apps'].flatMap((parent) =>
    readdirSync(join(ROOT, parent)).map((name) => `${parent}/${name}/README.md`),
  );
  const folders = ['docs/guide', 'docs/reference'].flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
  );
  return [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'bench/README.md',
    'infra/README.md',
    ...readmes,
    ...folders,
  ].filter((path) => path.endsWith('.md') && textOf(path) !== undefined);
}

/** Undefined when there is no such document: not every package has a README. */
function textOf(document: string): string | undefined {
  try {
    return readFileSync(join(ROOT, document), 'utf8');
  } catch {
    return undefined;
  }
}

function snippetsOf(document: string): Snippet[] {
  return parts(document).snippets;
}

/** The document without its fenced blocks, with as many lines as before. */
export function proseOf(document: string): string {
  return parts(document).prose;
}

function parts(document: string): { snippets: Snippet[]; prose: string } {
  const snippets: Snippet[] = [];
  const prose: string[] = [];
  let open: { fence: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of (textOf(document) ?? '').split('\n').entries()) {
    prose.push(open === undefined && !/^ *```/.test(line) ? line : '');
    const [, fence = '', language = ''] = /^( *```+)(\S*)/.exec(line) ?? [];
    if (open === undefined) {
      if (fence !== '') open = { fence, language, line: index + 1, lines: [] };
    } else if (line === open.fence) {
      const { lines, line: first } = open;
      snippets.push({
        document,
        where: `${document}:${first}`,
        language: open.language,
        text: `${lines.join('\n')}\n`,
      });
      open = undefined;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`${document}:${open.line}: the fenced block has no end.`);
  return { snippets, prose: prose.join('\n') };
}

export const allSnippets: readonly Snippet[] = documents().flatMap(snippetsOf);

export function ofLanguage(...languages: readonly string[]): Snippet[] {
  return allSnippets.filter(({ language }) => languages.includes(language));
}

/** The one block of a document that begins with, or has, this text; for what a spec wants to do with it. */
export function snippet(document: string, having: string): Snippet {
  const [found, ...others] = snippetsOf(document).filter(({ text }) => text.includes(having));
  if (found === undefined || others.length > 0) {
    throw new Error(`${document} has ${others.length === 0 ? 'no block' : 'several blocks'} with ${having}.`);
  }
  return found;
}
