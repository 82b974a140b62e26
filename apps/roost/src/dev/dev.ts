import { randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import { appFileProblem } from '../app-file.ts';
import { ConfigError } from '../config/errors.ts';
import type { ResolvedConfig } from '../config/resolve.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import type { ExitCode } from '../exit-codes.ts';
import { ADMIN_TOKEN_OF_DEV, isRunByNpm, watchParent } from '../parent.ts';
import { printable } from '../readable-line.ts';
import { DevFarm } from './dev-farm.ts';
import { devLine, ownLine } from './dev-line.ts';
import type { ReadyFarm } from './dev-line.ts';
import { StopSignals } from './stop-signals.ts';
import { farmWords } from './farm-words.ts';
import { WatchedModules } from './watched-modules.ts';

const KEY_BYTES = 12;
const TOKEN_BYTES = 24;
/** How many files of a change are named. */
const SHOWN_FILES = 3;

/** Ends that no change of the application can prevent the next time. */
const FINAL: readonly (number | null)[] = [EXIT_CODES.portInUse.code, EXIT_CODES.unsupported.code];

export interface DevOptions {
  /** The words behind `dev`, as they were written. */
  readonly words: readonly string[];
  readonly folder: string;
  print(text: string): void;
  printError(text: string): void;
}

/**
 * Runs `roost start` with the application, and starts it anew when the application, what it imports or the configuration file
 * changes. An application that cannot be loaded says why, and waits for the next change. Resolves after SIGINT, SIGTERM or
 * SIGHUP, when nothing is left running. Throws a ConfigError when there is no application.
 */
export async function runDev(config: ResolvedConfig, options: DevOptions): Promise<ExitCode> {
  const { settings, configPath } = config;
  const { app } = settings;
  if (app === null) {
    throw new ConfigError(
      'CONFIG_ERR_VALUE',
      'roost dev needs an application to watch, and got none. Name it: roost dev app.ts',
    );
  }
  const problem = appFileProblem(app);
  if (problem !== undefined) {
    options.printError(`The application ${printable(app)} cannot be loaded: ${problem}.\n`);
    return EXIT_CODES.failed.code;
  }
  const signals = new StopSignals();
  const unwatch = isRunByNpm(process.env) ? watchParent(() => signals.parentGone()) : undefined;
  const say = (text: string): void => options.print(ownLine(text));
  const modules = new WatchedModules(app, configPath === undefined ? [] : [configPath], (reason) => {
    say(`some changes will not be noticed: ${reason}`);
  });
  try {
    await modules.begin();
    return await new Session(config, options, modules, signals).run();
  } finally {
    unwatch?.();
    signals.stop();
    await modules.close();
  }
}

/** From the first start to the end. */
class Session {
  readonly #config: ResolvedConfig;
  readonly #options: DevOptions;
  readonly #modules: WatchedModules;
  readonly #signals: StopSignals;
  /** It stays over all starts: the page and scripts that have it go on publishing. */
  readonly #apiKey = randomBytes(KEY_BYTES).toString('base64url');
  /** As the key: a dashboard that is open goes on. */
  readonly #adminToken = randomBytes(TOKEN_BYTES).toString('base64url');
  /** When the change was noticed that the next farm answers. */
  #changedAt = performance.now();
  #ready: ReadyFarm | undefined;
  /** Where the dashboard of the farm that starts is, and where that of the last one was that was told of. */
  #dashboard: string | undefined;
  #toldDashboard: string | undefined;

  constructor(config: ResolvedConfig, options: DevOptions, modules: WatchedModules, signals: StopSignals) {
    this.#config = config;
    this.#options = options;
    this.#modules = modules;
    this.#signals = signals;
  }

  async run(): Promise<ExitCode> {
    while (this.#signals.signal === undefined) {
      const farm = this.#start();
      const change = this.#modules.nextChange();
      const code = await Promise.race([farm.exited, change, this.#signals.first]);
      if (typeof code === 'number' || code === null) {
        if (this.#signals.signal !== undefined) break;
        if (FINAL.includes(code) && this.#ready === undefined) return finalCode(code);
        this.#modules.isBroken = true;
        this.#say(
          `the farm has ended (${code === null ? 'by a signal' : `exit code ${code}`}): waiting for a change`,
        );
        await Promise.race([change, this.#signals.first]);
      }
      const { signal } = this.#signals;
      if (signal !== undefined) {
        await this.#stop(farm, signal);
        break;
      }
      this.#changedAt = performance.now();
      this.#say(`${this.#named(await change)} changed: starting again`);
      await Promise.all([farm.stop('SIGTERM'), this.#modules.refresh()]);
    }
    return EXIT_CODES.stopped.code;
  }

  #start(): DevFarm {
    const words = farmWords(this.#options.words, this.#config, this.#ready?.port);
    const isKeyGiven = this.#config.settings['api.key'] !== null;
    const environment = {
      [ADMIN_TOKEN_OF_DEV]: this.#adminToken,
      ...(isKeyGiven ? {} : { ROOST_API_KEY: this.#apiKey }),
    };
    return new DevFarm(words, environment, (line) => {
      const shown = devLine(line);
      if (shown.kind === 'text') this.#options.print(shown.text);
      else if (shown.kind === 'dashboard') this.#dashboard = shown.url;
      else if (shown.kind === 'ready') this.#becameReady(shown.farm);
    });
  }

  #becameReady(farm: ReadyFarm): void {
    this.#modules.isBroken = false;
    const seconds = ((performance.now() - this.#changedAt) / 1000).toFixed(1);
    if (this.#ready !== undefined) {
      this.#say(`ready again after ${seconds} s`);
      this.#tellDashboard();
      return;
    }
    this.#ready = farm;
    const broker = farm.broker === 'memory' ? 'no Redis' : 'Redis';
    const workers = `${farm.workerCount} worker${farm.workerCount === 1 ? '' : 's'}`;
    const { size } = this.#modules;
    const files = `${size} file${size === 1 ? '' : 's'}`;
    this.#say(`ready on ${farm.url} (${workers}, ${broker}), watching ${files}`);
    this.#tellDashboard();
    if (this.#config.settings['api.key'] === null) this.#say(`API key until you end this: ${this.#apiKey}`);
  }

  /** Once, unless its port is another one each time. */
  #tellDashboard(): void {
    if (this.#dashboard === undefined || this.#dashboard === this.#toldDashboard) return;
    this.#toldDashboard = this.#dashboard;
    this.#say(`dashboard on ${this.#dashboard}`);
  }

  /** A second signal ends it by force. */
  async #stop(farm: DevFarm, signal: NodeJS.Signals): Promise<void> {
    void this.#signals.second.then(() => farm.kill());
    await farm.stop(signal);
  }

  #named(paths: readonly string[]): string {
    const names = paths.slice(0, SHOWN_FILES).map((path) => relative(this.#options.folder, path));
    const more = paths.length - names.length;
    return `${names.join(', ')}${more === 0 ? '' : ` and ${more} more`}`;
  }

  #say(text: string): void {
    this.#options.print(ownLine(text));
  }
}

function finalCode(code: number | null): ExitCode {
  return code === EXIT_CODES.portInUse.code ? EXIT_CODES.portInUse.code : EXIT_CODES.unsupported.code;
}
