/**
 * Ends what was opened, the last first, and every one of it even when another cannot be ended. Empties the list.
 * Rejects with the error, or an AggregateError of all.
 */
export async function endAll(opened: (() => unknown)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const end of opened.splice(0).toReversed()) {
    try {
      await end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('; '));
  if (errors.length === 1) throw errors[0];
}
