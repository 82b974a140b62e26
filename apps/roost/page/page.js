import { PageConnection } from './connection.js';
import { button, element, input, onSubmit, show } from './elements.js';
import { Messages } from './messages.js';
import { rememberFields } from './remembered-fields.js';
import { settings } from './settings.js';
import { showShellLines } from './shell-lines.js';

const PLAIN_PATH = '/plain';

const messages = new Messages();
const data = element('publish-data', HTMLTextAreaElement);
let state = 'none';

const connection = new PageConnection({
  connectionOnState: showState,
  connectionOnMessage: (received) => messages.addReceived(received),
  connectionOnEvent: (kind, text, failed) => messages.add(kind, text, failed),
  connectionOnNotice: (text) => show('notice', text),
});

/**
 * @param {string} newState
 * @param {string} text
 */
function showState(newState, text) {
  state = newState;
  const isIdle = state === 'none' || state === 'closed';
  element('state', HTMLElement).dataset['state'] = state;
  show('state', text);
  button('connect').disabled = !isIdle;
  button('disconnect').disabled = isIdle;
  button('send').disabled = state !== 'open';
  // What is connected cannot be changed: the fields are those of the next connection.
  for (const id of ['channels', 'token', 'path']) input(id).readOnly = !isIdle;
}

/** Throws an error whose message tells the user what is wrong with the path. */
function socketUrl() {
  const path = input('path').value.trim() || PLAIN_PATH;
  const isHere = /^\/(?![/\\])/.test(path);
  if (!isHere || !URL.canParse(path, location.href)) {
    throw new Error(
      `The path ${JSON.stringify(path)} is none of this server: it begins with one /, as in /chat?room=7.`,
    );
  }
  const url = new URL(path, location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  url.hash = '';
  if (url.pathname === PLAIN_PATH) for (const name of channels()) url.searchParams.append('channel', name);
  return url;
}

function channels() {
  const names = input('channels').value.split(',');
  return names.map((name) => name.trim()).filter((name) => name !== '');
}

function connect() {
  const { url, problem } = target();
  input('path').setAttribute('aria-invalid', String(problem !== ''));
  show('notice', problem);
  if (url === undefined) showPath();
  else connection.connect(url, input('token').value.trim());
}

/** It may be folded away. */
function showPath() {
  const path = input('path');
  const fold = path.closest('details');
  if (fold !== null) fold.open = true;
  path.focus();
}

/** @returns {{ url: URL | undefined, problem: string }} */
function target() {
  try {
    return { url: socketUrl(), problem: '' };
  } catch (error) {
    return { url: undefined, problem: messageOf(error) };
  }
}

function publishBody() {
  let value;
  try {
    value = input('publish-json').checked ? JSON.parse(data.value) : data.value;
  } catch (error) {
    throw new Error(`The data is not JSON: ${messageOf(error)}`, { cause: error });
  }
  return JSON.stringify({ channel: input('publish-channel').value, data: value });
}

async function publish() {
  show('published', '');
  try {
    const body = publishBody();
    const response = await fetch('/api/publish', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-API-Key': input('api-key').value },
      body,
    });
    const { error } = await response.json();
    show('published', error === undefined ? published() : refused(response.status, error));
  } catch (error) {
    show('published', messageOf(error));
  }
}

/** A user who publishes and sees nothing should know why. */
function published() {
  if (state !== 'open') return 'published; connect to see what arrives';
  const channel = input('publish-channel').value;
  const isPlain = target().url?.pathname === PLAIN_PATH;
  return isPlain && !channels().includes(channel)
    ? `published; this page does not subscribe to ${channel}`
    : 'published';
}

/**
 * @param {number} status
 * @param {{ code: number, message: string }} error
 */
function refused(status, { code, message }) {
  if (status !== 401) return `${code}: ${message}`;
  input('api-key').focus();
  return `${code}: ${message}. The key is what ROOST_API_KEY or --api-key says, or else in the server's log.`;
}

function showWhatFollows() {
  const { url, problem } = target();
  show('url', url?.href ?? '');
  if (problem === '' && input('path').getAttribute('aria-invalid') === 'true') {
    input('path').removeAttribute('aria-invalid');
    show('notice', '');
  }
  const isReceiver = url?.pathname === PLAIN_PATH && !settings.plainTakesMessages;
  element('send-form', HTMLFormElement).hidden = isReceiver;
  element('receives-only', HTMLElement).hidden = !isReceiver;
  showShellLines({ publishBody, data: data.value, url });
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

rememberFields();
onSubmit('connect-form', connect);
onSubmit('publish-form', () => void publish());
onSubmit('send-form', () => {
  const outgoing = input('outgoing');
  connection.send(outgoing.value);
  messages.add('sent', outgoing.value);
  outgoing.value = '';
});
button('disconnect').addEventListener('click', () => connection.disconnect());
button('clear').addEventListener('click', () => messages.clear());
document.addEventListener('input', showWhatFollows);
showWhatFollows();
