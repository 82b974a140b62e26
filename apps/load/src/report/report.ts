import { Latencies } from './latencies.ts';

/** Counts of one load process, or the sum of several. Plain data. */
export interface Report {
  /** Connections being opened. */
  readonly pending: number;
  readonly open: number;
  /** Handshakes that succeeded so far. */
  readonly connected: number;
  /** Connections that never opened, by reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** Connections that the server ended, by close code. */
  readonly closes: Readonly<Record<string, number>>;
  /** Connections whose closing handshake the server did not follow by ending the TCP connection, within 5 s. */
  readonly unended: number;
  /**
   * Messages received since the last reset, and by how many connections: none, one, or more each. Neither what a connection
   * gets before it is open nor `others` are among them.
   */
  readonly messages: number;
  readonly received: { readonly '0': number; readonly '1': number; readonly '2+': number };
  /** Messages that did not begin as the message template does, since the last reset. */
  readonly others: number;
  /** The least and the most that any one connection received; both 0 without connections. */
  readonly fewest: number;
  readonly most: number;
  /** Open connections with at least as many messages as are expected. */
  readonly satisfied: number;
  /** When the last message arrived, in ms since 1970 (fractions are microseconds); 0 if none did. */
  readonly lastMessageAt: number;
  /** From the beginning of connect(2) until it was open, of all that opened; see Latencies.encode. */
  readonly handshakes: string;
  /** User and system time of the process, in ms since its start. */
  readonly cpuMs: number;
}

/** Figures for the progress line; the cheap ones of a {@link Report}. */
export interface Progress {
  readonly pending: number;
  readonly open: number;
  readonly connected: number;
  /** By reason. */
  readonly failed: Readonly<Record<string, number>>;
  readonly messages: number;
  /** Publications that were delivered since the watch began. */
  readonly deliveries: number;
  /** Every open connection has what is expected, and there is one. */
  readonly isSatisfied: boolean;
  /** Latencies of echoes or deliveries since the last time that there were some to tell, at most one a second. */
  readonly interval?: string;
}

/** Adds up the reports of all processes. */
export function mergeReports(reports: readonly Report[]): Report {
  const handshakes = new Latencies();
  for (const report of reports) handshakes.add(report.handshakes);
  const sum = (pick: (report: Report) => number) =>
    reports.reduce((total, report) => total + pick(report), 0);
  const fewest = reports.filter((report) => report.connected > 0).map((report) => report.fewest);
  return {
    pending: sum((report) => report.pending),
    open: sum((report) => report.open),
    connected: sum((report) => report.connected),
    failed: mergeCounts(reports.map((report) => report.failed)),
    closes: mergeCounts(reports.map((report) => report.closes)),
    unended: sum((report) => report.unended),
    messages: sum((report) => report.messages),
    received: {
      '0': sum((report) => report.received['0']),
      '1': sum((report) => report.received['1']),
      '2+': sum((report) => report.received['2+']),
    },
    others: sum((report) => report.others),
    fewest: fewest.length === 0 ? 0 : Math.min(...fewest),
    most: Math.max(0, ...reports.map((report) => report.most)),
    satisfied: sum((report) => report.satisfied),
    lastMessageAt: Math.max(0, ...reports.map((report) => report.lastMessageAt)),
    handshakes: handshakes.encode(),
    cpuMs: sum((report) => report.cpuMs),
  };
}

/** Adds up counts by name. */
export function mergeCounts(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const counts of all) {
    for (const [key, count] of Object.entries(counts)) merged[key] = (merged[key] ?? 0) + count;
  }
  return merged;
}
