import { WebSocketArgumentError } from '../errors.ts';

/** A token of RFC 9110 §5.6.2. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** ASCII only, so that a response is the same bytes in latin1 and UTF-8. */
const VALUE = /^[\t\x20-\x7e]*$/;

/**
 * Adds `Name: value` lines. Throws WEBSOCKET_HEADER for a name that is not a token or is among `reserved` (lower case),
 * and for a value with anything but printable ASCII, spaces and tabs: a line break would forge headers.
 */
export function appendHeaderLines(
  lines: string[],
  headers: Readonly<Record<string, string>>,
  reserved: ReadonlySet<string>,
): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name) || reserved.has(name.toLowerCase())) {
      throw new WebSocketArgumentError(
        'WEBSOCKET_HEADER',
        `a response header must be named by a token that is not set by Roost itself, got ${JSON.stringify(name)}. Rename or remove it.`,
      );
    }
    if (!VALUE.test(value)) {
      throw new WebSocketArgumentError(
        'WEBSOCKET_HEADER',
        `the response header ${name} must be printable ASCII, got ${JSON.stringify(value)}. Encode the value.`,
      );
    }
    lines.push(`${name}: ${value}`);
  }
}
