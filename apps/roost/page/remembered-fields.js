import { element } from './elements.js';

/** The fields that survive a reload, in this tab only: an API key and a token are secrets. */
const FIELDS = ['channels', 'token', 'path', 'publish-channel', 'publish-data', 'publish-json', 'api-key'];

const PREFIX = 'roost.';

/** Fills the fields with what they held before, and remembers what they are changed to. */
export function rememberFields() {
  for (const id of FIELDS) {
    const field = element(id, HTMLElement);
    const remembered = read(id);
    if (remembered !== null) setValue(field, remembered);
    field.addEventListener('input', () => write(id, valueOf(field)));
  }
}

/** @param {HTMLElement} field */
function valueOf(field) {
  if (field instanceof HTMLInputElement && field.type === 'checkbox') return String(field.checked);
  return field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement ? field.value : '';
}

/**
 * @param {HTMLElement} field
 * @param {string} value
 */
function setValue(field, value) {
  if (field instanceof HTMLInputElement && field.type === 'checkbox') field.checked = value === 'true';
  else if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.value = value;
}

/** @param {string} id */
function read(id) {
  try {
    return sessionStorage.getItem(PREFIX + id);
  } catch {
    // The browser forbids storage: the page works without.
    return null;
  }
}

/**
 * @param {string} id
 * @param {string} value
 */
function write(id, value) {
  try {
    sessionStorage.setItem(PREFIX + id, value);
  } catch {
    // As above, or the storage is full.
  }
}
