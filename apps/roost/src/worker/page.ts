import { readFile } from 'node:fs/promises';
import { CLOSE_CODES } from '@roost/farm';
import type { App } from '@roost/farm';
import { CONTENT_SECURITY_POLICY } from '../content-security-policy.ts';
import { answer, isRead, pathOf } from './http.ts';
import type { Answer } from './http.ts';
import type { PlainOptions } from './options.ts';

// The folder is the same from src/ and from dist/.
const FOLDER = new URL('../../page/', import.meta.url);

/** Every file of the page by its path. */
const FILES: ReadonlyMap<string, PageFile> = new Map(
  [
    'page.css',
    'page.js',
    'connection.js',
    'elements.js',
    'messages.js',
    'refusal.js',
    'remembered-fields.js',
    'shell-lines.js',
  ]
    .map((name): [string, PageFile] => [
      `/page/${name}`,
      { name, type: name.endsWith('.css') ? 'text/css' : 'text/javascript' },
    ])
    .concat([['/', { name: 'index.html', type: 'text/html' }]]),
);

const SETTINGS_PATH = '/page/settings.js';

interface PageFile {
  readonly name: string;
  readonly type: Answer['type'];
}

/**
 * `GET /`: a page to try the server by hand, with its files below `/page/`. Each is read when it is first asked for, and
 * kept: 30 KB in all, in workers whose page was opened.
 */
export function pageApp(plain: PlainOptions): App {
  const texts = new Map<string, Promise<string>>();
  const textOf = (name: string): Promise<string> => {
    const known = texts.get(name);
    if (known !== undefined) return known;
    const text = readFile(new URL(name, FOLDER), 'utf8');
    texts.set(name, text);
    // The next request tries again; the hook's guard answers this one.
    text.catch(() => texts.delete(name));
    return text;
  };
  return {
    name: 'page',
    http(request, response) {
      const path = pathOf(request);
      const file = FILES.get(path);
      if (file === undefined && path !== SETTINGS_PATH) return false;
      if (!isRead(request, response)) return true;
      const send = (type: Answer['type'], body: string): void =>
        answer(request, response, { status: 200, type, body, headers: HEADERS });
      if (file !== undefined) return textOf(file.name).then((text) => send(file.type, text));
      send('text/javascript', settingsModule(plain));
      return true;
    },
  };
}

const HEADERS = { 'Content-Security-Policy': CONTENT_SECURITY_POLICY, 'Referrer-Policy': 'no-referrer' };

/** What the page must know of this server; its type is page/settings.d.ts. */
function settingsModule({ clientPublish }: PlainOptions): string {
  const closeCodes = Object.values(CLOSE_CODES).map(({ code, title, reconnect }) => [
    code,
    { title, reconnect },
  ]);
  const settings = { plainTakesMessages: clientPublish, closeCodes: Object.fromEntries(closeCodes) };
  return `export const settings = ${JSON.stringify(settings)};\n`;
}
