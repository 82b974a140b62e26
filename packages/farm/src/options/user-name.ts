/** Most characters of a user's name, in units of UTF-16. */
const MAX_USER_CHARACTERS = 256;

/** Why this cannot be a user, or undefined when it can. */
export function userProblem(user: unknown): string | undefined {
  if (typeof user !== 'string') return `a user must be a string, got ${typeof user}`;
  if (user.length === 0 || user.length > MAX_USER_CHARACTERS) {
    return `a user must have 1 to ${MAX_USER_CHARACTERS} characters, got ${user.length}`;
  }
  if (!user.isWellFormed()) return 'a user must be valid UTF-8';
  return undefined;
}

/** Throws a RangeError for what can be no user; undefined is none, and passes. */
export function checkUser(user: unknown): void {
  if (user !== undefined) requireUser(user);
}

/** As {@link checkUser}, where there must be one. */
export function requireUser(user: unknown): void {
  const problem = userProblem(user);
  if (problem !== undefined) throw new RangeError(problem);
}
