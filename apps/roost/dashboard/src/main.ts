import { Api, ApiProblem } from './api.ts';
import { Charts } from './charts.ts';
import { element } from './elements.ts';
import { History } from './history.ts';
import { connectForms } from './operations.ts';
import { session } from './session.ts';
import { showWorkers } from './tables.ts';
import { Tiles } from './tiles.ts';
import { age } from './units.ts';
import { makeViews } from './views.ts';

const LOOK_MS = 1000;
const WRONG_TOKEN = 'This is not the token of this farm. One that nobody has chosen changes with each start.';
/** Each worker goes through all of its channels for some of them. */
const VIEWS_EVERY = 5;

const state = element('#state', HTMLElement);
const facts = element('#facts', HTMLElement);
const signInPage = element('#sign-in-page', HTMLElement);
const dashboard = element('#dashboard', HTMLElement);
const signOut = element('#sign-out', HTMLButtonElement);
const problem = element('#sign-in-problem', HTMLElement);
const workerRows = element('#workers tbody', HTMLElement);
const tokenField = element('#token', HTMLInputElement);

const history = new History();
const tiles = new Tiles(element('#tiles', HTMLElement));
const charts = new Charts(element('#charts', HTMLElement), history);
let api: Api | undefined;
let looks = 0;

element('#sign-in', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  session.token = tokenField.value.trim();
  tokenField.value = '';
  signIn();
});
signOut.addEventListener('click', () => leave(''));
// A new URL of the log, opened in this tab: the browser does not load the page again for what is behind the #.
addEventListener('hashchange', signIn);
const views = makeViews(signedIn);
connectForms(signedIn);
signIn();

function signedIn(): Api {
  if (api === undefined) throw new Error('not signed in');
  return api;
}

function signIn(): void {
  const { token } = session;
  if (token === null) return;
  problem.textContent = '';
  const own = new Api(token);
  api = own;
  void look(own);
}

function leave(why: string): void {
  session.token = null;
  api = undefined;
  problem.textContent = why;
  signInPage.hidden = false;
  dashboard.hidden = true;
  signOut.hidden = true;
  say('waiting', 'not signed in');
  facts.textContent = '';
}

/** Looks once, and again a second later, as long as the same one is signed in. */
async function look(own: Api): Promise<void> {
  try {
    await show(own);
  } catch (error) {
    // Whoever has signed out since is told nothing of it.
    if (api !== own) return;
    if (error instanceof ApiProblem && (error.status === 401 || error.status === 403)) {
      leave(error.status === 401 ? WRONG_TOKEN : error.message);
      return;
    }
    say('closed', error instanceof ApiProblem ? error.message : 'the farm does not answer');
  }
  if (api === own) setTimeout(() => void look(own), LOOK_MS);
}

async function show(own: Api): Promise<void> {
  const overview = await own.overview();
  if (api !== own) return;
  signInPage.hidden = true;
  dashboard.hidden = false;
  signOut.hidden = false;
  say(overview.isReady ? 'open' : 'waiting', overview.isReady ? 'ready' : overview.reasons.join(' '));
  facts.textContent = `version ${overview.version}, up for ${age(overview.uptimeMs)}, ${overview.broker} broker`;
  const { values } = history.add(overview);
  tiles.show(values);
  charts.draw(overview.workers.map(({ worker }) => worker));
  showWorkers(workerRows, overview, values);
  if (looks++ % VIEWS_EVERY === 0) await Promise.all(views.map((view) => view.refresh(own)));
}

/** A screen reader says whatever is written there, also the same text again. */
function say(kind: 'open' | 'waiting' | 'closed', text: string): void {
  state.dataset['state'] = kind;
  if (state.textContent !== text) state.textContent = text;
}
