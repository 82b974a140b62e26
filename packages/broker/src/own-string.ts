/** Up to here V8 copies: a longer string that was cut out of another, or joined from several, refers to those. */
const MAX_ALWAYS_COPIED = 12;

/** The same text in a string of its own. What is kept for long must not keep the whole message that it was part of. */
export function ownString(text: string): string {
  return text.length <= MAX_ALWAYS_COPIED ? text : Buffer.from(text).toString();
}
