import { closeSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Returns a function to call when the process ends. Node then sets terminals back as it has found them, and aborts when
 * one has been closed since (`ResetStdio()` in src/node.cc, Node 20): /dev/null takes the place of those.
 */
export function watchTerminals(): () => void {
  const terminals = [0, 1, 2].filter(isatty);
  return () => {
    for (const descriptor of terminals) {
      if (isatty(descriptor)) continue;
      closeSync(descriptor);
      // open(2) gives the lowest free number.
      openSync('/dev/null', 'r+');
    }
  };
}
