import type { Api } from './api.ts';
import { element } from './elements.ts';
import { showConnection } from './tables.ts';

/** The forms by which something is looked up or changed. `api` is that of whoever is signed in. */
export function connectForms(api: () => Api): void {
  onSubmit('#publish', async () => {
    await api().publish(input('publish-channel'), element('#publish-data', HTMLTextAreaElement).value);
    return 'published';
  });
  onSubmit('#disconnect', async () => {
    const kind = element('#disconnect-kind', HTMLSelectElement).value;
    await api().disconnect({ [kind]: input('disconnect-name') });
    return 'told all workers';
  });
  onSubmit('#drain', async () => {
    await api().drain();
    return 'the farm drains';
  });
  connectConnection(api, () => input('connection-id').trim());
}

function input(id: string): string {
  return element(`#${id}`, HTMLInputElement).value;
}

function connectConnection(api: () => Api, idOf: () => string): void {
  const list = element('#connection dl', HTMLElement);
  const disconnect = element('#disconnect-connection', HTMLButtonElement);
  let shown = '';
  onSubmit('#connection', async () => {
    showConnection(list, undefined);
    disconnect.disabled = true;
    shown = idOf();
    showConnection(list, await api().connection(shown));
    disconnect.disabled = false;
    return '';
  });
  disconnect.addEventListener('click', () => {
    void report('#connection', async () => {
      const { isFound } = await api().disconnect({ connection: shown });
      disconnect.disabled = true;
      return isFound ? 'disconnected' : 'it was gone already';
    });
  });
}

/** Runs `act` when the form of a section is submitted, and says in the section how it went. */
function onSubmit(section: string, act: () => Promise<string>): void {
  element(`${section} form`, HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    void report(section, act);
  });
}

async function report(section: string, act: () => Promise<string>): Promise<void> {
  const outcome = element(`${section} .outcome`, HTMLElement);
  const buttons = document.querySelectorAll<HTMLButtonElement>(`${section} button[type=submit]`);
  outcome.textContent = '';
  for (const button of buttons) button.disabled = true;
  try {
    outcome.textContent = await act();
    outcome.dataset['state'] = 'good';
  } catch (error) {
    outcome.textContent = error instanceof Error ? error.message : String(error);
    outcome.dataset['state'] = 'bad';
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
