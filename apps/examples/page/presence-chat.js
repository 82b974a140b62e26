// @ts-check
/* global Pusher -- of pusher.min.js */

const TYPING_MS = 2000;

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}.`);
  return found;
}

/** @param {string} id */
function field(id) {
  const found = element(id);
  if (found instanceof HTMLInputElement) return found;
  throw new Error(`${id} is no field.`);
}

/** @param {string} path @param {Record<string, string>} fields */
async function post(path, fields) {
  const response = await fetch(path, { method: 'POST', body: new URLSearchParams(fields) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error ?? `The back end answered with ${response.status}.`);
  return answer;
}

/** @param {unknown} problem */
const show = (problem) => {
  element('problem').textContent = problem instanceof Error ? problem.message : '';
};

/** @param {string} text @param {string} [kind] */
function addLine(text, kind = '') {
  const item = document.createElement('li');
  item.textContent = text;
  item.className = kind;
  element('lines').append(item);
  item.scrollIntoView();
}

/** @param {string} nick */
async function enter(nick) {
  const { key, port } = await post('/name', { nick });
  const pusher = new Pusher(key, {
    wsHost: location.hostname,
    wsPort: port,
    forceTLS: false,
    enabledTransports: ['ws', 'wss'],
    // pusher-js insists on one; a host of one's own has none.
    cluster: 'roost',
    channelAuthorization: { endpoint: '/auth', transport: 'ajax' },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- by its name it is one
  const room = /** @type {import('pusher-js').PresenceChannel} */ (pusher.subscribe('presence-room'));

  const showMembers = () => {
    element('count').textContent = String(room.members.count);
    /** @type {string[]} */
    const names = [];
    room.members.each((/** @type {{ info: { name: string } }} */ { info }) => names.push(info.name));
    element('members').replaceChildren(
      ...names.toSorted().map((name) => {
        const item = document.createElement('li');
        item.textContent = name;
        return item;
      }),
    );
  };
  room.bind('pusher:subscription_succeeded', () => {
    element('enter').hidden = true;
    element('room').hidden = false;
    showMembers();
  });
  room.bind('pusher:member_added', (/** @type {{ info: { name: string } }} */ { info }) => {
    showMembers();
    addLine(`${info.name} came in`, 'notice');
  });
  room.bind('pusher:member_removed', (/** @type {{ info: { name: string } }} */ { info }) => {
    showMembers();
    addLine(`${info.name} left`, 'notice');
  });
  room.bind('pusher:subscription_error', () => show(new Error('The back end does not let you in.')));
  room.bind('line', (/** @type {{ user: string, line: string }} */ { user, line }) => {
    element('typing').textContent = '';
    addLine(`${user}: ${line}`);
  });

  // Who is typing goes from client to client, past the back end. The server says whose it is.
  let typingTimer = 0;
  room.bind('client-typing', (/** @type {unknown} */ _, /** @type {{ user_id: string }} */ { user_id }) => {
    element('typing').textContent = `${room.members.get(user_id)?.info.name ?? 'Somebody'} is typing…`;
    clearTimeout(typingTimer);
    typingTimer = setTimeout(() => (element('typing').textContent = ''), TYPING_MS);
  });
  let lastTyped = -TYPING_MS;
  element('say').addEventListener('input', () => {
    if (performance.now() - lastTyped < TYPING_MS / 2) return;
    lastTyped = performance.now();
    room.trigger('client-typing', {});
  });
  element('say').addEventListener('submit', (event) => {
    event.preventDefault();
    const line = field('line').value;
    field('line').value = '';
    addLine(`${nick}: ${line}`);
    post('/say', { line, socket_id: pusher.connection.socket_id }).then(show, show);
  });
}

element('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  enter(field('nick').value).then(show, show);
});
