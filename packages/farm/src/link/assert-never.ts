/** The end of a switch over every message there is: the compiler finds one that was forgotten. */
export function assertNever(message: never): never {
  throw new Error(`unknown message ${JSON.stringify(message)}`);
}
