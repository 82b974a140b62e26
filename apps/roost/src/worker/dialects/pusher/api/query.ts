/** The parameters of a request, as they may have been signed. */
export interface Query {
  /** Decoded, lists (`info[]=a&info[]=b`) joined by commas. */
  readonly values: ReadonlyMap<string, string>;
  /**
   * The parameters in each form that SDKs sign: decoded, as the documentation says, and as they were sent, since some SDKs
   * do not encode what they sign.
   */
  readonly signedForms: readonly (readonly (readonly [key: string, value: string])[])[];
}

/** Splits a URL into its path and its parameters. Never throws. */
export function readTarget(url: string): { readonly path: string; readonly query: Query } {
  const start = url.indexOf('?');
  const path = start === -1 ? url : url.slice(0, start);
  const sent = (start === -1 ? '' : url.slice(start + 1))
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair): [string, string] => {
      const end = pair.indexOf('=');
      return end === -1 ? [pair, ''] : [pair.slice(0, end), pair.slice(end + 1)];
    });
  const decoded = joinLists(sent.map(([key, value]) => [decode(key), decode(value)]));
  return { path, query: { values: new Map(decoded), signedForms: [decoded, sent] } };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** `info[0]` and `info[]` are both `info`, as PHP writes lists. */
function joinLists(pairs: readonly (readonly [string, string])[]): [string, string][] {
  const joined: [string, string][] = [];
  const lists = new Map<string, [string, string]>();
  for (const [key, value] of pairs) {
    const name = /^(.+)\[\d*\]$/.exec(key)?.[1];
    const list = name === undefined ? undefined : lists.get(name);
    if (list !== undefined) list[1] += `,${value}`;
    else {
      const pair: [string, string] = [name ?? key, value];
      if (name !== undefined) lists.set(name, pair);
      joined.push(pair);
    }
  }
  return joined;
}

/** A path as it may have been signed: as it was sent, and decoded, since some SDKs sign the ids of users unencoded. */
export function signedPaths(path: string): readonly string[] {
  const decoded = decodePath(path);
  return decoded === path ? [path] : [path, decoded];
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
