/**
 * Why a WebSocket did not open. `refused`: the server said so. `unreachable`: no answer. `unknown`: over HTTP nothing
 * is wrong, or the server does not know.
 *
 * @typedef {{ kind: 'refused', status: number, text: string, retryMs: number | undefined }
 *   | { kind: 'unreachable' }
 *   | { kind: 'unknown' }} Refusal
 */

const TIMEOUT_MS = 5000;
const MAX_SHOWN_CHARACTERS = 300;

/** "Upgrade Required": the path speaks WebSocket, and has nothing against this request. */
const UPGRADE_REQUIRED = 426;

/**
 * A browser does not show a script the answer to a refused WebSocket, so this asks for the same URL over HTTP, where the
 * server says the same sentence.
 *
 * @param {URL} url `ws:` or `wss:`
 * @param {string} token empty for none
 * @returns {Promise<Refusal>}
 */
export async function askWhy(url, token) {
  const asked = new URL(url);
  asked.protocol = url.protocol === 'wss:' ? 'https:' : 'http:';
  let response;
  let body;
  try {
    response = await fetch(asked, {
      headers: token === '' ? {} : { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    body = await response.text();
  } catch {
    return { kind: 'unreachable' };
  }
  const { status, headers } = response;
  if (status < 400 || status === UPGRADE_REQUIRED) return { kind: 'unknown' };
  const retrySeconds = Number(headers.get('Retry-After') ?? Number.NaN);
  return {
    kind: 'refused',
    status,
    text: sentenceOf(body),
    retryMs: Number.isNaN(retrySeconds) ? undefined : retrySeconds * 1000,
  };
}

/**
 * Refusals of tokens are JSON with a code, all others one sentence.
 *
 * @param {string} body
 */
function sentenceOf(body) {
  let sentence = body.trim();
  try {
    const { error } = JSON.parse(body);
    sentence = `${error.code}: ${error.message}`;
  } catch {
    // It is the sentence itself.
  }
  return sentence.length > MAX_SHOWN_CHARACTERS ? `${sentence.slice(0, MAX_SHOWN_CHARACTERS)}…` : sentence;
}
