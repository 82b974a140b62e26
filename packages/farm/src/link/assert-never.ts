/** The end of a switch over all messages: the compiler finds a forgotten one. */
export function assertNever(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`);
}
