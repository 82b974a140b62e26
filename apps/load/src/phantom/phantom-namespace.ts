import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { LoadError } from '../errors.ts';
import { networkOf, type PhantomLink } from './phantom-link.ts';

const FOLDER = '/run/netns';
/** Of the process that made it, and when that was started, in clock ticks: a number alone may be another's by now. */
const NAME = /^roost-phantom-(\d+)-(\d+)(?:-parent)?$/;

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
const TUN = '/dev/net/tun';
const PROGRAMS = ['ip', 'tc', 'nsenter', 'setpriv'];

/** Packets that wait for the clients: a broadcast comes faster than they can be read. */
const QUEUED_PACKETS = 500_000;
/** Buckets of the table of established connections; beyond 16 million Linux does not go. */
const MIN_BUCKETS = 65_536;
const MAX_BUCKETS = 16_777_216;

/**
 * A network namespace for a server and its phantom clients: the server listens on its loopback, the clients' addresses are
 * routed to TUN devices. All that is set (routes, queues, settings of TCP) is set in it, and goes with it.
 */
export class PhantomNamespace {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /** Throws LOAD_ERR_PHANTOM when this process may not, or what it needs is missing. */
  static create(connections: number, links: readonly PhantomLink[]): PhantomNamespace {
    assertPossible();
    removeAbandoned();
    const namespace = new PhantomNamespace(`roost-phantom-${process.pid}-${startedAt(process.pid)}`);
    try {
      namespace.#create(connections, links);
    } catch (error) {
      namespace.remove();
      throw error;
    }
    return namespace;
  }

  get path(): string {
    return `${FOLDER}/${this.name}`;
  }

  /** Ends whatever still runs in it, and removes it. */
  remove(): void {
    for (const name of [this.name, `${this.name}-parent`]) removeNamespace(name);
  }

  #create(connections: number, links: readonly PhantomLink[]): void {
    const { name } = this;
    // The size of the table of connections is inherited, so a parent is made for it: the host's setting is left alone.
    const parent = `${name}-parent`;
    run('ip', 'netns', 'add', parent);
    const buckets = 2 ** Math.ceil(Math.log2(Math.max(MIN_BUCKETS, Math.min(connections, MAX_BUCKETS))));
    set(parent, { 'net/ipv4/tcp_child_ehash_entries': buckets });
    run('nsenter', `--net=${FOLDER}/${parent}`, 'ip', 'netns', 'add', name);
    run('ip', 'netns', 'del', parent);
    run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    set(name, {
      'net/core/somaxconn': 65_535,
      'net/ipv4/tcp_max_syn_backlog': 65_535,
      'net/ipv4/tcp_syncookies': 0,
      // What the kernel remembers of each address.
      'net/ipv4/tcp_no_metrics_save': 1,
      // Of clients that are gone without a word when a run is broken off.
      'net/ipv4/tcp_orphan_retries': 2,
      'net/ipv4/conf/all/rp_filter': 0,
    });
    for (const link of links) {
      const { device } = link;
      run('ip', '-n', name, 'tuntap', 'add', 'dev', device, 'mode', 'tun');
      run('ip', '-n', name, 'link', 'set', device, 'txqueuelen', String(QUEUED_PACKETS), 'up');
      run('tc', '-n', name, 'qdisc', 'replace', 'dev', device, 'root', 'noqueue');
      run('ip', '-n', name, 'route', 'add', networkOf(link), 'dev', device);
      // The clients come from elsewhere to the server's 127.0.0.1.
      set(name, { [`net/ipv4/conf/${device}/rp_filter`]: 0, [`net/ipv4/conf/${device}/route_localnet`]: 1 });
    }
  }
}

function assertPossible(): void {
  const capabilities = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`,
  );
  const isAllowed = [CAP_NET_ADMIN, CAP_SYS_ADMIN].every((bit) => ((capabilities >> bit) & 1n) === 1n);
  if (!isAllowed || !existsSync(TUN)) {
    throw new LoadError(
      'LOAD_ERR_PHANTOM',
      `--phantom makes a network namespace and a TUN device, and needs CAP_NET_ADMIN, CAP_SYS_ADMIN and ${TUN}: ` +
        'run it as root (in a container with --cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun).',
    );
  }
  const missing = PROGRAMS.filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (missing.length > 0) {
    throw new LoadError(
      'LOAD_ERR_PHANTOM',
      `--phantom needs the programs ${PROGRAMS.join(', ')}, and found no ${missing.join(', ')}: ` +
        'install them (Debian: "apt-get install iproute2 util-linux").',
    );
  }
}

/** What runs left behind that were ended by SIGKILL. */
function removeAbandoned(): void {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) {
    const [, pid, ticks] = NAME.exec(name) ?? [];
    if (pid !== undefined && startedAt(Number(pid)) !== ticks) removeNamespace(name);
  }
}

function removeNamespace(name: string): void {
  if (!existsSync(`${FOLDER}/${name}`)) return;
  const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split(/\s+/).filter((word) => word !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  spawnSync('ip', ['netns', 'del', name]);
}

/** When a running process was started, in clock ticks since the machine was; undefined when there is none. */
function startedAt(pid: number): string | undefined {
  try {
    // The name of the program, in parentheses, may have spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // One that has ended is there until its parent asks after it (proc(5), states Z and X).
    return ['Z', 'X'].includes(fields[0] ?? '') ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Settings below /proc/sys, in a namespace. */
function set(namespace: string, settings: Readonly<Record<string, number>>): void {
  const script = Object.entries(settings)
    .map(([name, value]) => `echo ${value} > /proc/sys/${name}`)
    .join(' && ');
  run('nsenter', `--net=${FOLDER}/${namespace}`, 'sh', '-c', script);
}

function run(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (error === undefined && status === 0) return;
  throw new LoadError(
    'LOAD_ERR_PHANTOM',
    `"${program} ${args.join(' ')}" failed: ${error?.message ?? stderr.trim()}`,
    { cause: error },
  );
}
