import { element, show } from './elements.js';

/** Lines that stay on the page; older ones go. */
const MAX_LINES = 500;
const MAX_SHOWN_BYTES = 64;

/** In the reader's own time zone; the title of a line has the whole of it. */
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hour12: false,
});

/** The list of what has happened, the newest last and in view, unless the reader has scrolled away from it. */
export class Messages {
  #received = 0;
  #list = element('messages', HTMLOListElement);

  /**
   * @param {string} kind
   * @param {string} text
   * @param {boolean} [failed]
   */
  add(kind, text, failed = false) {
    const now = new Date();
    const time = document.createElement('time');
    time.dateTime = now.toISOString();
    time.title = now.toString();
    time.textContent = CLOCK.format(now);
    const item = document.createElement('li');
    item.classList.toggle('failed', failed);
    item.append(time, span('kind', kind), span('text', text));
    const list = this.#list;
    const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
    list.append(item);
    while (list.childElementCount > MAX_LINES) list.firstElementChild?.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  /** @param {string | ArrayBuffer} data */
  addReceived(data) {
    this.#received += 1;
    show('count', String(this.#received));
    this.add('received', typeof data === 'string' ? data : describeBytes(new Uint8Array(data)));
  }

  clear() {
    this.#list.replaceChildren();
    this.#received = 0;
    show('count', '0');
  }
}

/**
 * @param {string} className
 * @param {string} text
 */
function span(className, text) {
  const result = document.createElement('span');
  result.className = className;
  result.textContent = text;
  return result;
}

/** @param {Uint8Array} bytes */
function describeBytes(bytes) {
  const shown = [...bytes.subarray(0, MAX_SHOWN_BYTES)].map((byte) => byte.toString(16).padStart(2, '0'));
  return `${bytes.length} bytes: ${shown.join(' ')}${bytes.length > MAX_SHOWN_BYTES ? ' …' : ''}`;
}
