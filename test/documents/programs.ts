import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './snippets.ts';
import type { Snippet } from './snippets.ts';

const execute = promisify(execFile);
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

const COMPILER = {
  target: 'es2023',
  lib: ['es2023'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  skipLibCheck: true,
  allowJs: true,
  checkJs: true,
  rootDir: '.',
  outDir: 'out',
};

/** Of a program that a bundler makes ready for browsers; it may use what Vite and Laravel give to scripts. */
const BROWSER_COMPILER = {
  module: 'esnext',
  moduleResolution: 'bundler',
  lib: ['es2023', 'dom', 'dom.iterable'],
};
const BROWSER_TYPES = `interface ImportMeta { readonly env: Readonly<Record<string, string>>; }
interface Window { Pusher: unknown; Echo: unknown; }
`;

/** A program of a document: what stands before it, and what happens when it runs. */
export interface ProgramWay {
  readonly document: string;
  /** Text that only this block of the document has. */
  readonly having: string;
  /** What the document leaves to its reader. */
  readonly given?: string;
  readonly run: (program: Program) => Promise<void>;
}

/** The programs of the documents in a folder of their own, from where they find what they import as in the checkout. */
export class Programs {
  readonly folder: string;
  #written = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Programs> {
    const folder = await mkdtemp(join(tmpdir(), 'roost-documents-'));
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    return new Programs(folder);
  }

  /** `given` stands before the program: what its document leaves to the reader. */
  async add({ language, text }: Pick<Snippet, 'language' | 'text'>, given = ''): Promise<Program> {
    const name = `program-${++this.#written}`;
    const folder = join(this.folder, name);
    await mkdir(folder);
    await writeFile(join(folder, `program.${language}`), given + text);
    return new Program(folder, language, given === '' ? 0 : given.split('\n').length - 1);
  }

  /** A file beside the programs. */
  async write(name: string, content: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, content);
    return path;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

export class Program {
  readonly #folder: string;
  readonly #language: string;
  readonly #givenLines: number;

  constructor(folder: string, language: string, givenLines: number) {
    this.#folder = folder;
    this.#language = language;
    this.#givenLines = givenLines;
  }

  /** What the compiler has against it, with lines as the document counts them. */
  async complaints(): Promise<string> {
    const text = await readFile(join(this.#folder, `program.${this.#language}`), 'utf8');
    // Other functions of JavaScript cannot declare the types of their parameters, but hooks have theirs from defineApp().
    const noImplicitAny = this.#language === 'ts' || text.includes('defineApp(');
    const isOfBrowsers = text.includes("from 'pusher-js'");
    const compilerOptions = { ...COMPILER, noImplicitAny, ...(isOfBrowsers && BROWSER_COMPILER) };
    if (isOfBrowsers) await this.write('browser.d.ts', BROWSER_TYPES);
    const files = [`program.${this.#language}`, ...(isOfBrowsers ? ['browser.d.ts'] : [])];
    await writeFile(join(this.#folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    try {
      await execute(process.execPath, [TSC, '-p', this.#folder, '--pretty', 'false']);
      return '';
    } catch (error) {
      const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
      return output.replaceAll(/\((\d+),/g, (_, line) => `(${Number(line) - this.#givenLines},`);
    }
  }

  /** The JavaScript to run, with other addresses than the document's; call {@link complaints} first. */
  async runnable(replacements: Readonly<Record<string, string>> = {}): Promise<string> {
    let text = await readFile(join(this.#folder, 'out/program.js'), 'utf8');
    for (const [from, to] of Object.entries(replacements)) {
      if (!text.includes(from)) throw new Error(`There is no ${from} in the program.`);
      text = text.replaceAll(from, to);
    }
    await this.write('run.js', text);
    return join(this.#folder, 'run.js');
  }

  /** Adds to what {@link runnable} made: what the document leaves to the reader, and what shows the outcome. */
  async append(text: string): Promise<void> {
    await appendFile(join(this.#folder, 'run.js'), text);
  }

  /** A file beside it. */
  async write(name: string, content: string): Promise<void> {
    await writeFile(join(this.#folder, name), content);
  }
}
