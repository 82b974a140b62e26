/** `ok`: nothing to do. `warn`: it works, until something happens. `fail`: it will not. `skip`: it could not be looked at. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip';

/** What a check has to say. Texts are for people, and one line each. */
export interface Finding {
  readonly status: Status;
  /** What is: `1,024 a process`. */
  readonly found: string;
  /** What is needed: `250,320`. Empty where nothing is. */
  readonly needed: string;
  /** Why, in one sentence. */
  readonly why: string;
  /** What to write, each line by itself: `sysctl -w fs.nr_open=2000000`. */
  readonly fix: readonly Fix[];
}

export interface Fix {
  /** Ready to be pasted. */
  readonly line: string;
  /** Where it belongs: `in the unit of systemd`. */
  readonly where: string;
}

/** One thing that is looked at. It judges what others have gathered, and touches nothing itself. */
export interface Check<Facts> {
  readonly name: string;
  /** Undefined where it does not apply. */
  readonly judge: (facts: Facts) => Finding | undefined;
}

export interface NamedFinding extends Finding {
  readonly check: string;
}

/** All that the checks have to say, in their order. */
export function judgeAll<Facts>(checks: readonly Check<Facts>[], facts: Facts): NamedFinding[] {
  return checks.flatMap(({ name, judge }) => {
    const finding = judge(facts);
    if (finding === undefined) return [];
    // What would help is known to the check in any case.
    const needsFix = finding.status === 'warn' || finding.status === 'fail';
    return { check: name, ...finding, fix: needsFix ? finding.fix : [] };
  });
}
