import type { Log } from '@roost/farm';
import type { ResolvedConfig } from '../config/resolve.ts';
import { controlPaths, isOwnFolder } from './control-path.ts';
import { ControlListenError, ControlServer } from './control-server.ts';

/**
 * Opens the control socket as it is configured; undefined when there is to be none. Where nobody has asked for a certain one,
 * its lack costs the commands and not the farm, and is logged. Else rejects with a ControlListenError.
 */
export async function openControl(
  { settings }: Pick<ResolvedConfig, 'settings'>,
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<ControlServer | undefined> {
  const paths = controlPaths(settings, environment);
  if (settings.controlSocket !== null) {
    return paths[0] === undefined ? undefined : await ControlServer.open(paths[0], log);
  }
  for (const path of paths) {
    if (!isOwnFolder(path)) continue;
    try {
      return await ControlServer.open(path, log);
    } catch (error) {
      if (!(error instanceof ControlListenError)) throw error;
    }
  }
  if (paths.length > 0) {
    log.warn({ tried: paths }, 'no control socket: roost reload needs one. Name it with --control-socket');
  }
  return undefined;
}
