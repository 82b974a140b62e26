import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Memory of what is reachable, typed arrays included, in bytes. Collects garbage first, which may take 200 ms. */
export function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  // A new context has `gc`, as the flag says.
  const collectGarbage: () => void = runInNewContext('gc');
  collectGarbage();
  // V8 gives the memory of array buffers back beside the program, and is done with it by the next collection at the latest.
  collectGarbage();
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
