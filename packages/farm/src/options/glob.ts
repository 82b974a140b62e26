/** A test for names that match a glob, as {@link matchesGlob} has it; the empty one matches all. */
export function globMatcher(pattern: string): (name: string) => boolean {
  return pattern === '' || pattern === '*' ? () => true : (name) => matchesGlob(name, pattern);
}

/** Whether a name matches a glob: `*` is any run of characters, `?` any one. Linear in name times pattern. */
export function matchesGlob(name: string, pattern: string): boolean {
  // Two pointers with one way back, to the last star: a regular expression made of user input could take for ever.
  let at = 0;
  let inPattern = 0;
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const expected = pattern[inPattern];
    if (expected === '*') {
      star = inPattern++;
      starAt = at;
    } else if (expected === '?' || expected === name[at]) {
      inPattern++;
      at++;
    } else if (star !== -1) {
      inPattern = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern[inPattern] === '*') inPattern++;
  return inPattern === pattern.length;
}
