/**
 * Every exit code of the server, after sysexits.h where it has a word for it. docs/reference/config.md lists them from
 * this table.
 */
export const EXIT_CODES = {
  stopped: {
    code: 0,
    meaning: 'The farm drained after SIGTERM or SIGINT, or a command did what it was asked.',
  },
  portInUse: {
    code: 69,
    meaning:
      'The port, or the control socket, is in use by another process. Or a command found no farm, or one that is being changed already, or the farm ended meanwhile.',
  },
  failed: {
    code: 70,
    meaning:
      'The application could not be loaded, or the farm could not recover from a failure. Or a reload, or another change of a running farm, is done, but connections died with a worker meanwhile.',
  },
  unsupported: {
    code: 71,
    meaning:
      'The machine did not give what the farm needs: it cannot listen there, has no descriptors, processes or memory left, has too old a Node.js, or is not Linux. Or `roost doctor` has found something that will fail.',
  },
  uncreatable: {
    code: 73,
    meaning: 'The folder of a new project is not empty, or cannot be written to.',
  },
  unwritable: {
    code: 74,
    meaning: 'The output of a command could not be written: most often the disk is full.',
  },
  incomplete: {
    code: 75,
    meaning:
      'A reload, or another change of a running farm, stopped before its end; what had moved by then stays where it is.',
  },
  misconfigured: { code: 78, meaning: 'A flag, a variable or the configuration file is wrong.' },
  forced: {
    code: 130,
    meaning:
      'A second signal ended the farm before it had drained. Or a command was ended by SIGINT: a change of the farm that it has begun goes on.',
  },
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES]['code'];
