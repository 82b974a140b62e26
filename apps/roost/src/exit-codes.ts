/**
 * Every exit code of the server, after sysexits.h where it has a word for it. docs/reference/config.md lists them from
 * this table.
 */
export const EXIT_CODES = {
  stopped: {
    code: 0,
    meaning: 'The farm drained after SIGTERM or SIGINT, or a command did what it was asked.',
  },
  portInUse: { code: 69, meaning: 'The port is in use by another process.' },
  failed: {
    code: 70,
    meaning: 'The application could not be loaded, or the farm could not recover from a failure.',
  },
  unsupported: {
    code: 71,
    meaning:
      'The machine did not give what the farm needs: it cannot listen there, has no descriptors, processes or memory left, has too old a Node.js, or is not Linux.',
  },
  unwritable: {
    code: 74,
    meaning: 'The output of a command could not be written: most often the disk is full.',
  },
  misconfigured: { code: 78, meaning: 'A flag, a variable or the configuration file is wrong.' },
  forced: { code: 130, meaning: 'A second signal ended the farm before it had drained.' },
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES]['code'];
