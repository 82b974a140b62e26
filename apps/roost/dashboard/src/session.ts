const KEY = 'roost-admin-token';

/** The token of whoever is signed in: for this tab only, and not in the URL, where it may have come in. */
export const session = {
  get token(): string | null {
    const [, fromUrl] = /^#token=([\u0021-\u007e]+)$/.exec(location.hash) ?? [];
    if (fromUrl !== undefined) {
      sessionStorage.setItem(KEY, fromUrl);
      history.replaceState(null, '', location.pathname);
    }
    return sessionStorage.getItem(KEY);
  },
  set token(token: string | null) {
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  },
};
