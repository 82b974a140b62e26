import { mkdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Settings } from '../config/options.ts';

/** A folder that others may write to is none for a socket that tells a farm what to do. */
const OTHERS_MAY_WRITE = 0o022;

/** Where the control socket of a farm may be. */
export type ControlPlace = Pick<Settings, 'controlSocket' | 'port'>;

/**
 * Where a farm may have its socket, the first that can be had; empty when it has none. A command looks in the same order.
 */
export function controlPaths(
  { controlSocket, port }: ControlPlace,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (controlSocket === 'off') return [];
  if (controlSocket !== null) return [controlSocket];
  // The kernel chooses it, and nobody could know the name.
  if (port === 0) return [];
  const runtime = environment['XDG_RUNTIME_DIR'];
  const folders = [
    ...(runtime === undefined || runtime === '' ? [] : [join(runtime, 'roost')]),
    '/run/roost',
    join(tmpdir(), `roost-${process.getuid?.() ?? 0}`),
  ];
  return folders.map((folder) => join(folder, `${port}.sock`));
}

/** Makes the folder of a default path, for its user alone. False when it cannot be had, or is somebody else's. */
export function isOwnFolder(path: string): boolean {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(folder);
    return uid === process.getuid?.() && (mode & OTHERS_MAY_WRITE) === 0;
  } catch {
    return false;
  }
}
