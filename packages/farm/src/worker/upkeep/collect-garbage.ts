import { setFlagsFromString } from 'node:v8';

/**
 * Collects all garbage and moves what lives together, so that V8 gives back every page that it does not need: on its own
 * it moves only what lies on nearly empty pages, and a heap that has shrunk keeps a third of what it had. About 20 ms with
 * 10 MB alive. Without `--expose-gc`, as in tests, nothing happens.
 */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) return;
  // V8 reads it when a collection begins. As an option of the process it would slow down every collection.
  setFlagsFromString('--compact-on-every-full-gc');
  globalThis.gc();
  setFlagsFromString('--no-compact-on-every-full-gc');
}
