import { fileURLToPath } from 'node:url';
import { importTypeScript, isTypeScript } from './typescript.ts';

/** What a module exports, by name. */
export type ModuleExports = Readonly<Record<string, unknown>>;

/**
 * Imports the module of an app: an ES module or CommonJS, in JavaScript or TypeScript. Everything that runs apps imports them
 * here: the server, `startFarm()` and `startTestFarm()`. `url` is a `file:` URL. Rejects with what the module throws.
 */
export function importAppModule(url: string): Promise<ModuleExports> {
  // fileURLToPath() throws for others, which import() takes: "data:".
  const path = url.startsWith('file:') ? fileURLToPath(url) : '';
  return isTypeScript(path) ? importTypeScript(path) : import(url);
}

/**
 * The default export. Of CommonJS that is `module.exports`; what a compiler or bundler has made of `export default` is a
 * property of it, beside the mark `__esModule`.
 */
export function defaultExport(module: ModuleExports): unknown {
  const exported = module['default'];
  const isCompiled =
    typeof exported === 'object' && exported !== null && '__esModule' in exported && 'default' in exported;
  return isCompiled ? exported.default : exported;
}
