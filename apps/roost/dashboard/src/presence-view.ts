import type { MemberChannels, ShownMembers } from '../../src/admin/answers.ts';
import type { Api } from './api.ts';
import { element, made } from './elements.ts';
import { count } from './units.ts';
import type { View } from './view.ts';

/** The channels with the most members, and the members of the one that was chosen. */
export class PresenceView implements View {
  readonly #api: () => Api;
  readonly #list = element('#presence ol', HTMLElement);
  readonly #members = element('#members', HTMLElement);
  readonly #title = element('#members h3', HTMLElement);
  readonly #names = element('#members ul', HTMLElement);
  #buttons = new Map<string, HTMLElement>();
  #chosen: string | undefined;

  constructor(api: () => Api) {
    this.#api = api;
  }

  async refresh(api: Api): Promise<void> {
    const { channels } = await api.memberChannels();
    // Who goes through the page by the keyboard would begin anew with each look.
    const [focused] = [...this.#buttons].find(([, button]) => button === document.activeElement) ?? [];
    this.#buttons = new Map(channels.map((shown) => [shown.channel, this.#buttonOf(shown)]));
    this.#list.replaceChildren(
      ...Array.from(this.#buttons.values(), (button) => {
        const item = made('li');
        item.append(button);
        return item;
      }),
    );
    if (focused !== undefined) this.#buttons.get(focused)?.focus({ preventScroll: true });
    await this.#showMembers(api);
  }

  #buttonOf({ channel, members }: MemberChannels['channels'][number]): HTMLElement {
    const button = made('button');
    button.setAttribute('type', 'button');
    button.setAttribute('aria-expanded', String(channel === this.#chosen));
    button.append(made('span', channel, 'name'), made('span', count(members), 'number'));
    button.addEventListener('click', () => {
      this.#chosen = channel === this.#chosen ? undefined : channel;
      for (const other of this.#buttons.values()) {
        other.setAttribute('aria-expanded', String(other === button && this.#chosen !== undefined));
      }
      this.#showMembers(this.#api()).catch((error: unknown) => {
        this.#title.textContent = error instanceof Error ? error.message : String(error);
      });
    });
    return button;
  }

  async #showMembers(api: Api): Promise<void> {
    const chosen = this.#chosen;
    this.#members.hidden = chosen === undefined;
    if (chosen === undefined) return;
    const shown = await api.members(chosen);
    if (chosen !== this.#chosen) return;
    this.#title.textContent = titleOf(chosen, shown);
    this.#names.replaceChildren(
      ...shown.members
        .toSorted((one, other) => one.user.localeCompare(other.user))
        .map(({ user, info }) => {
          const item = made('li', user);
          item.title = info;
          return item;
        }),
    );
  }
}

function titleOf(channel: string, { memberCount, members }: ShownMembers): string {
  const some = members.length < memberCount ? `, ${count(members.length)} of them` : '';
  return `${channel}: ${count(memberCount)} ${memberCount === 1 ? 'member' : 'members'}${some}`;
}
