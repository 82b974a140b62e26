/**
 * The count that was given as `--<option> <text>`. Throws for anything but an integer from `min` to `max`.
 * @param {string} option
 * @param {string} text
 * @param {{ min?: number, max?: number }} [range]
 */
export function parseCount(option, text, { min = 1, max = Infinity } = {}) {
  const count = Number(text);
  if (Number.isInteger(count) && count >= min && count <= max) return count;
  const allowed = max === Infinity ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  throw new RangeError(`--${option} must be ${allowed}, got "${text}"`);
}

/**
 * The names that were given as `--<option> <name>,<name>`. Throws for one that is not allowed.
 * @param {string} option
 * @param {string} text
 * @param {readonly string[]} allowed
 */
export function parseNames(option, text, allowed) {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !allowed.includes(name));
  if (unknown === undefined) return names;
  throw new RangeError(`--${option} knows ${allowed.join(', ')}; got "${unknown}"`);
}
