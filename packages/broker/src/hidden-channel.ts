const MARK = '\u0001';
/** The first name that is not hidden, by the bytes. */
export const FIRST_SHOWN = '\u0002';

/** A name under which something else than a channel is counted: no channel of a farm has control characters. */
export function hiddenChannel(name: string): string {
  return MARK + name;
}

/** Whether nothing is recorded of it, and nobody is shown it. */
export function isHidden(channel: string): boolean {
  return channel.startsWith(MARK);
}
