import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { watch } from 'chokidar';
import type { FSWatcher } from 'chokidar';
import { readModuleGraph } from '../module-graph.ts';

/** An editor writes a file in several steps, and "save all" several files: silence that ends a change. */
const QUIET_MS = 100;
/** A change that does not end, as while a branch is checked out, counts as ended after this time. */
const MAX_CHANGE_MS = 1000;
/** Each folder takes a watch of the kernel (inotify(7)). Modules beyond it are not watched. */
const MAX_FOLDERS = 256;

/** What a module can be, or import. */
const MODULE = /\.(?:[mc]?[jt]s|json)$/;

/**
 * Watches an application's module, all that it imports (what npm has installed left out), and `others`. Folders are watched, not
 * files: editors put a new file in place of the old one. `begin` first, `close` when done.
 */
export class WatchedModules {
  readonly #app: string;
  readonly #others: readonly string[];
  readonly #onProblem: (problem: string) => void;
  #files: ReadonlySet<string> = new Set();
  #folders: ReadonlySet<string> = new Set();
  #watcher: FSWatcher | undefined;
  #changed = new Set<string>();
  #firstAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;
  /** While the application is broken, a module that it does not have yet may mend it. */
  isBroken = false;

  constructor(app: string, others: readonly string[], onProblem: (problem: string) => void) {
    this.#app = app;
    this.#others = others;
    this.#onProblem = onProblem;
  }

  /** How many files are watched. */
  get size(): number {
    return this.#files.size;
  }

  /** Resolves when each change is noticed from then on. */
  async begin(): Promise<void> {
    await this.refresh();
  }

  /** Looks again what the application imports. Resolves when each change of that is noticed from then on. */
  async refresh(): Promise<void> {
    const before = this.#folders;
    await this.#readGraph();
    const isSame =
      before.size === this.#folders.size && [...before].every((folder) => this.#folders.has(folder));
    if (!isSame) await this.#watch();
  }

  /** chokidar tells only of a new watcher when it notices everything, so folders are not added to one. */
  async #watch(): Promise<void> {
    const former = this.#watcher;
    const watcher = watch([...this.#folders], {
      depth: 0,
      ignoreInitial: true,
      ignorePermissionErrors: true,
    });
    this.#watcher = watcher;
    watcher.on('all', (event, path) => this.#happened(event, path));
    watcher.on('error', (error) => {
      this.#onProblem(error instanceof Error ? error.message : String(error));
    });
    await new Promise<void>((resolve) => {
      watcher.once('ready', resolve);
    });
    await former?.close();
  }

  /** The files of the next change, also of one that has come since the last call. One call at a time. */
  async nextChange(): Promise<readonly string[]> {
    if (this.#changed.size === 0 || this.#timer !== undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const changed = [...this.#changed];
    this.#changed.clear();
    return changed;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  async #readGraph(): Promise<void> {
    const { files, folders } = await readModuleGraph(this.#app);
    this.#files = new Set([...files, ...this.#others]);
    const wanted = new Set([...[...this.#files].map((file) => dirname(file)), ...folders].map(nearestFolder));
    if (wanted.size > MAX_FOLDERS) {
      this.#onProblem(
        `${wanted.size} folders hold modules of the application, and ${MAX_FOLDERS} are watched`,
      );
    }
    this.#folders = new Set([...wanted].slice(0, MAX_FOLDERS));
  }

  #happened(event: string, path: string): void {
    const mayMend = this.isBroken && (event === 'addDir' || MODULE.test(path));
    if (!this.#files.has(path) && !mayMend) return;
    const now = performance.now();
    if (this.#timer === undefined) this.#firstAt = now;
    this.#changed.add(path);
    clearTimeout(this.#timer);
    const waitMs = Math.min(QUIET_MS, Math.max(0, this.#firstAt + MAX_CHANGE_MS - now));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#wake?.();
      this.#wake = undefined;
    }, waitMs);
  }
}

/** A module that is imported before it is written may lie in a folder that is not there yet. */
function nearestFolder(folder: string): string {
  return existsSync(folder) ? folder : nearestFolder(dirname(folder));
}
