import { CONFIG_VARIABLE, ENVIRONMENT_PREFIX, variableOf } from './names.ts';
import { nearest } from './nearest.ts';
import { OPTION_KEYS } from './options.ts';
import { refuseRenamed } from './renamed.ts';

/** Something that does not prevent a start: one line of the log. */
export interface Notice {
  readonly level: 'info' | 'warn';
  /** Sentences that name the variables. */
  readonly message: string;
}

/** Variables of ours that have a value, by name, and what is said about the others with our prefix. */
interface Variables {
  readonly variables: ReadonlyMap<string, string>;
  readonly notices: readonly Notice[];
}

/**
 * What Kubernetes sets in each pod for every Service of the namespace ("service links": Service in the reference of
 * Kubernetes, "Environment variables"), and Docker's old links did. A Service `roost` makes ROOST_PORT, and `roost-redis`
 * ROOST_REDIS_PORT. Those that end in _PORT or _TCP hold an address, and no user's value looks like it.
 */
const LINK_NAME =
  /^ROOST(?:_[A-Z0-9_]+)?_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR))$/;
const LINK_TO_ADDRESS_NAME = /^ROOST(?:_[A-Z0-9_]+)?_PORT(?:_\d+_(?:TCP|UDP|SCTP))?$/;
const LINK_ADDRESS = /^(?:tcp|udp|sctp):\/\/(?:\d+\.\d+\.\d+\.\d+|\[?[0-9a-f:.]+\]?):\d+$/i;

/**
 * Sorts the environment. A variable with our prefix that is none of ours is ignored: another program may have set it, and
 * a neighbour must not be able to stop a deploy.
 */
export function readVariables(environment: Readonly<Record<string, string | undefined>>): Variables {
  const known = new Set([CONFIG_VARIABLE, ...OPTION_KEYS.map(variableOf)]);
  const variables = new Map<string, string>();
  const links: string[] = [];
  const notices: Notice[] = [];
  for (const [name, value] of Object.entries(environment)) {
    // Container tools pass unset variables as empty ones, so an empty variable counts as left out.
    if (!name.startsWith(ENVIRONMENT_PREFIX) || value === undefined || value === '') continue;
    if (isServiceLink(name, value)) links.push(name);
    else if (known.has(name)) variables.set(name, value);
    else {
      refuseRenamed(name);
      notices.push(unknownVariable(name, known));
    }
  }
  if (links.length > 0) notices.unshift(serviceLinks(links));
  return { variables, notices };
}

function isServiceLink(name: string, value: string): boolean {
  return LINK_NAME.test(name) || (LINK_TO_ADDRESS_NAME.test(name) && LINK_ADDRESS.test(value));
}

function serviceLinks([first = '', ...others]: readonly string[]): Notice {
  const subject = others.length === 0 ? `${first} was` : `${first} and ${others.length} more were`;
  const verb = others.length === 0 ? 'is' : 'are';
  return {
    level: 'info',
    message: `${subject} set by Kubernetes for a Service, and ${verb} ignored. "enableServiceLinks: false" in the spec of the pod leaves such variables out.`,
  };
}

function unknownVariable(name: string, known: ReadonlySet<string>): Notice {
  const near = nearest(name, known);
  const hint = near === undefined ? 'See "roost start --help" for all variables.' : `Did you mean ${near}?`;
  return { level: 'warn', message: `${name} is not a variable of Roost, and is ignored. ${hint}` };
}
