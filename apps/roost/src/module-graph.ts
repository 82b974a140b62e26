import { dirname, join } from 'node:path';
import { build, stop } from 'esbuild';
import type { BuildOptions, Message, Plugin } from 'esbuild';

/** Of the plugin's own question to esbuild. */
const ASKED = Symbol('asked by the graph');

export interface ModuleGraph {
  /** Absolute paths of the module and of all that it imports or requires, those in node_modules left out. */
  readonly files: readonly string[];
  /** Where the imported files lie, or would lie if they were there. */
  readonly folders: readonly string[];
  /** Where the first mistake in them is, if there is one: `/srv/app.js:3`. */
  readonly problem: { readonly place: string; readonly text: string } | undefined;
}

/**
 * Reads a module and what it imports, without running anything. A module with a mistake, or one that is not there, ends its
 * branch only. Never rejects because of what the modules hold.
 */
export async function readModuleGraph(path: string): Promise<ModuleGraph> {
  const files = new Set([path]);
  const folders = new Set<string>();
  const options: BuildOptions = {
    absWorkingDir: '/',
    entryPoints: [path],
    bundle: true,
    write: false,
    // Import attributes and top-level await are for modules only; what is required is followed all the same.
    format: 'esm',
    platform: 'node',
    target: 'esnext',
    logLevel: 'silent',
    loader: { '.node': 'empty' },
    plugins: [collect(files, folders)],
  };
  const errors = await build(options).then((): readonly Message[] => [], errorsOf);
  // It would stay with its memory until the next time, if there is one.
  await stop();
  return { files: [...files], folders: [...folders], problem: firstProblem(errors) };
}

function collect(files: Set<string>, folders: Set<string>): Plugin {
  return {
    name: 'graph',
    setup(graph) {
      // What npm has installed is not the user's: it is neither read nor watched.
      graph.onResolve({ filter: /^[^./]/ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === ASKED || kind === 'entry-point') return undefined;
        const found = await graph.resolve(path, { importer, resolveDir, kind, pluginData: ASKED });
        const isForeign =
          found.errors.length > 0 || found.external || /[/\\]node_modules[/\\]/.test(found.path);
        return isForeign ? { path, external: true } : { path: found.path };
      });
      graph.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        folders.add(dirname(join(resolveDir, path)));
        return undefined;
      });
      graph.onLoad({ filter: /.*/ }, ({ path }) => {
        files.add(path);
        return undefined;
      });
    },
  };
}

function errorsOf(error: unknown): readonly Message[] {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
}

function firstProblem(errors: readonly Message[]): ModuleGraph['problem'] {
  const found = errors.find(({ location }) => location !== null);
  if (!found?.location) return undefined;
  return { place: `/${found.location.file}:${found.location.line}`, text: found.text };
}
