import { describe, expect, it } from 'vitest';
import { reportAsJson, reportAsText, type Report } from './report.ts';

const REPORT: Report = {
  connections: 1_000_000,
  workers: 4,
  findings: [
    {
      check: 'memory',
      status: 'ok',
      found: '14 GB available',
      needed: '5 GB',
      why: 'It is needed.',
      fix: [],
    },
    {
      check: 'fs.nr_open',
      status: 'fail',
      found: '1,000',
      needed: '250,320',
      why: 'No process can be allowed more.',
      fix: [
        { line: 'sysctl -w fs.nr_open=250320', where: 'and in /etc/sysctl.d' },
        { line: 'reboot', where: 'or not' },
      ],
    },
    {
      check: 'Redis version',
      status: 'skip',
      found: 'INFO is denied',
      needed: '',
      why: 'It is needed.',
      fix: [],
    },
  ],
};

describe('the report of the doctor', () => {
  it('has a line for each finding, and below those that need something why, and what to write', () => {
    expect(reportAsText(REPORT, { hasColours: false })).toBe(
      [
        'For 1,000,000 connections and 4 workers, with the limits of this shell or container:',
        '',
        'ok    memory         14 GB available (needed: 5 GB)',
        'fail  fs.nr_open     1,000 (needed: 250,320)',
        '      No process can be allowed more.',
        '        sysctl -w fs.nr_open=250320  # and in /etc/sysctl.d',
        '        reboot                       # or not',
        'skip  Redis version  INFO is denied',
        '',
        '1 ok, 1 fail, 1 skip.',
        '',
      ].join('\n'),
    );
  });

  it('has colours on a terminal only for the words that it is scanned by', () => {
    const text = reportAsText(REPORT, { hasColours: true });
    expect(text).toContain('\u001b[31mfail  \u001b[0mfs.nr_open     1,000');
    // oxlint-disable-next-line no-control-regex
    expect(text.replaceAll(/\u001b\[\d+m/g, '')).toBe(reportAsText(REPORT, { hasColours: false }));
  });

  it('as JSON has all that is known', () => {
    expect(JSON.parse(reportAsJson(REPORT))).toEqual({ ...REPORT, ok: 1, warn: 0, fail: 1, skip: 1 });
  });
});
