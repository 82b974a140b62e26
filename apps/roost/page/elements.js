/**
 * The element of this id, which must be of this kind.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} with the id ${id}.`);
  return found;
}

/** @param {string} id */
export const input = (id) => element(id, HTMLInputElement);

/** @param {string} id */
export const button = (id) => element(id, HTMLButtonElement);

/**
 * @param {string} id
 * @param {string} text
 */
export function show(id, text) {
  element(id, HTMLElement).textContent = text;
}

/**
 * @param {string} id of a form
 * @param {() => void} action
 */
export function onSubmit(id, action) {
  element(id, HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    action();
  });
}
