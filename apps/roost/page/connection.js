import { askWhy } from './refusal.js';
import { settings } from './settings.js';

/** @typedef {import('./refusal.js').Refusal} Refusal */

/** The pause before the first new attempt; each further one is twice as long, up to the longest. */
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;
/** A connection that lasted so long begins again with the first pause. */
const STEADY_MS = 5000;
/** The close code of an end without a close frame (RFC 6455 §7.1.5). */
const ABNORMAL = 1006;
/** With the same token it would be refused. */
const TOKEN_EXPIRED = 4003;

/**
 * What is reported to the page.
 *
 * @typedef {object} ConnectionHandlers
 * @property {(state: string, text: string) => void} connectionOnState
 * @property {(data: string | ArrayBuffer) => void} connectionOnMessage
 * @property {(kind: string, text: string, failed: boolean) => void} connectionOnEvent
 * @property {(text: string) => void} connectionOnNotice why it is not connected; empty when that is over
 */

/**
 * One WebSocket at a time, made again when it is lost.
 *
 * - `none` → `connecting` by connect().
 * - `connecting` → `open`; or, when the WebSocket fails before, the server is asked why: `closed` when it refuses for
 *   good, `waiting` when it cannot be reached, is short of something (503, 429), or had been open before.
 * - `open` → `waiting` when the close code asks to reconnect, else `closed`.
 * - `waiting` → `connecting` after a pause that doubles; it is shorter by chance, so that many pages do not come at once.
 * - any → `closed` by disconnect(), and from there `connecting` again by connect().
 */
export class PageConnection {
  /** @type {ConnectionHandlers} */
  #handlers;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {{ url: URL, token: string } | undefined} */
  #target;
  /** @type {number | undefined} */
  #timer;
  /** How often it was tried since it was steady. */
  #attempts = 0;
  /** Whether this target has ever let us in: then a refusal may pass. */
  #wasOpen = false;

  /** @param {ConnectionHandlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /**
   * @param {URL} url
   * @param {string} token empty for none
   */
  connect(url, token) {
    this.#target = { url, token };
    this.#attempts = 0;
    this.#wasOpen = false;
    this.#open();
  }

  /** The user's will: it is not made again. */
  disconnect() {
    this.#target = undefined;
    clearTimeout(this.#timer);
    if (this.#socket === undefined) this.#handlers.connectionOnState('closed', 'closed');
    else this.#socket.close(1000);
  }

  /** @param {string} text */
  send(text) {
    this.#socket?.send(text);
  }

  #open() {
    const target = this.#target;
    if (target === undefined) return;
    const { url, token } = target;
    this.#handlers.connectionOnState('connecting', 'connecting');
    /** @type {WebSocket} */
    let socket;
    try {
      // A browser cannot set headers: the token is a protocol, next to one that the server can select.
      socket = token === '' ? new WebSocket(url) : new WebSocket(url, ['roost', `bearer.${token}`]);
    } catch {
      // The error's message would show the token.
      this.#fail('The text in the token field cannot be a token: a token has no spaces or commas.');
      return;
    }
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    let openedAt = 0;
    socket.addEventListener('open', () => {
      openedAt = Date.now();
      this.#wasOpen = true;
      this.#handlers.connectionOnState('open', 'open');
      this.#handlers.connectionOnNotice('');
      this.#handlers.connectionOnEvent('open', url.pathname + url.search, false);
    });
    socket.addEventListener('message', ({ data }) => this.#handlers.connectionOnMessage(data));
    socket.addEventListener('close', ({ code, reason }) => {
      this.#socket = undefined;
      if (openedAt === 0) {
        void this.#failedToOpen(target);
        return;
      }
      if (Date.now() - openedAt >= STEADY_MS) this.#attempts = 0;
      this.#ended(code, reason);
    });
  }

  /**
   * It was open.
   *
   * @param {number} code
   * @param {string} reason
   */
  #ended(code, reason) {
    const { title, reconnect } = closeCode(code);
    const text = `${code} (${title})${reason === '' ? '' : `: ${reason}`}`;
    this.#handlers.connectionOnEvent('closed', text, code !== 1000);
    if (this.#target === undefined || reconnect === 'no') {
      this.#target = undefined;
      this.#handlers.connectionOnState('closed', 'closed');
    } else if (code === TOKEN_EXPIRED) {
      this.#fail('The token has expired: enter a new one, and connect again.');
    } else {
      this.#wait('connection lost');
    }
  }

  /** @param {{ url: URL, token: string }} target */
  async #failedToOpen(target) {
    const refusal = this.#target === target ? await askWhy(target.url, target.token) : undefined;
    // The user may have given up, or begun again, since then.
    if (refusal === undefined || this.#target !== target) {
      if (this.#target === undefined) this.#handlers.connectionOnState('closed', 'closed');
      return;
    }
    if (refusal.kind === 'unreachable') {
      this.#handlers.connectionOnEvent('failed', 'the server cannot be reached', true);
      this.#wait('the server cannot be reached');
      return;
    }
    const text = describe(refusal);
    this.#handlers.connectionOnEvent('refused', text, true);
    if (mayPass(refusal, this.#wasOpen)) {
      this.#wait('refused', refusal.kind === 'refused' ? refusal.retryMs : undefined);
      this.#handlers.connectionOnNotice(text);
    } else {
      this.#fail(text);
    }
  }

  /**
   * @param {string} what
   * @param {number} [leastMs] what the server asked for
   */
  #wait(what, leastMs = 0) {
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** this.#attempts, MAX_PAUSE_MS);
    const pauseMs = Math.max(longest * (0.5 + Math.random() / 2), leastMs);
    this.#attempts += 1;
    const seconds = (pauseMs / 1000).toFixed(1);
    const text = `${what}; attempt ${this.#attempts} to reconnect in ${seconds} s`;
    this.#handlers.connectionOnState('waiting', text);
    this.#handlers.connectionOnEvent('waiting', text, false);
    this.#timer = setTimeout(() => this.#open(), pauseMs);
  }

  /** @param {string} text */
  #fail(text) {
    this.#target = undefined;
    this.#handlers.connectionOnState('closed', 'closed');
    this.#handlers.connectionOnNotice(text);
  }
}

/** @param {number} code */
function closeCode(code) {
  const known = settings.closeCodes[code];
  if (known !== undefined) {
    return code === ABNORMAL ? { ...known, title: 'no close frame: the connection broke' } : known;
  }
  // An application's own, by the rule of docs/reference/errors.md; 1012 is IANA's "service restart".
  return { title: 'application', reconnect: code === 1012 || (code >= 4000 && code < 4500) ? 'yes' : 'no' };
}

/** @param {Refusal} refusal */
function describe(refusal) {
  if (refusal.kind === 'refused') return `${refusal.status}: ${refusal.text}`;
  return (
    'The WebSocket was refused, and the server has nothing against the same URL over HTTP. ' +
    `Do allowedOrigins name ${location.origin}? Does a proxy on the way pass Upgrade on? ` +
    'The last line under "The same from a shell" shows the answer.'
  );
}

/**
 * Whether trying again may help.
 *
 * @param {Refusal} refusal
 * @param {boolean} wasOpen
 */
function mayPass(refusal, wasOpen) {
  if (refusal.kind === 'unknown') return wasOpen;
  return refusal.kind === 'refused' && [429, 502, 503, 504].includes(refusal.status);
}
