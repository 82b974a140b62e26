/** `http://…` or `https://…`; anything else is a path. */
export function isHttpUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

/** A path, or a URL without a user and a password, which would appear in logs. */
export function isJwksLocation(location: string): boolean {
  if (location === '') return false;
  if (!isHttpUrl(location)) return !location.includes('://');
  const url = URL.canParse(location) ? new URL(location) : undefined;
  return url !== undefined && url.username === '' && url.password === '';
}
