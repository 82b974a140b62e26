/** A request target in absolute form, taken apart. */
export interface AbsoluteForm {
  /** The host, with its port if there is one: it counts instead of the Host header. */
  readonly host: string;
  /** Path and query, in origin form. */
  readonly target: string;
}

const ABSOLUTE = /^https?:\/\/([^/?#]+)(.*)$/i;

/**
 * Takes a request target apart that is a whole URL, as clients of proxies send it, and as a server must accept it
 * (RFC 9112 §3.2.2). Undefined for every other form.
 */
export function absoluteForm(target: string): AbsoluteForm | undefined {
  const [, host, rest] = ABSOLUTE.exec(target) ?? [];
  if (host === undefined || rest === undefined) return undefined;
  return { host, target: rest.startsWith('/') ? rest : `/${rest}` };
}
