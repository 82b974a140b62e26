/**
 * A name in the form in which it stands in keys and in pairs: `%`, braces and line feeds are percent-encoded. So a name can
 * neither end nor empty the braces that a cluster of Redis looks for, and the first line feed of a pair is its own.
 */
export function escapeName(name: string): string {
  return name.replaceAll(/[%{}\n]/g, (character) => `%${hexOf(character)}`);
}

/** A user in a channel, as one string. */
export function pairOf(channel: string, user: string): string {
  return `${escapeName(channel)}\n${user}`;
}

/** Channel and user of a pair. */
export function splitPair(pair: string): [channel: string, user: string] {
  const end = pair.indexOf('\n');
  return [decodeName(pair.slice(0, end)), pair.slice(end + 1)];
}

function decodeName(escaped: string): string {
  return escaped.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}
