import { copyHeaders, listElements, type RequestHead } from '@roost/websocket';
import { formatAddress } from '../../addresses/address.ts';
import type { UpgradeRequest } from '../../api/app.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';

/** The request head as the upgrade hook sees it. What costs something is made when it is first asked for. */
export class HeadUpgradeRequest implements UpgradeRequest {
  /** The engine verifies no tokens. */
  readonly claims = undefined;
  readonly url: string;
  readonly #head: RequestHead;
  readonly #address: Uint8Array;
  #headers: Readonly<Record<string, string>> | undefined;
  #query: URLSearchParams | undefined;
  #abort: AbortController | undefined;

  constructor(table: ConnectionTable, slot: number, head: RequestHead) {
    this.url = head.target;
    this.#head = head;
    this.#address = table.addressBytes(slot);
  }

  /** Copies: an attachment with one of them must not keep the whole head. */
  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= copyHeaders(this.#head.headers);
    return this.#headers;
  }

  get remoteAddress(): string {
    return formatAddress(this.#address);
  }

  get path(): string {
    const end = this.url.indexOf('?');
    return end === -1 ? this.url : this.url.slice(0, end);
  }

  get query(): URLSearchParams {
    const start = this.url.indexOf('?');
    this.#query ??= new URLSearchParams(start === -1 ? '' : this.url.slice(start + 1));
    return this.#query;
  }

  get protocols(): readonly string[] {
    return listElements(this.headers['sec-websocket-protocol'] ?? '');
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  /** The client went away, or the upgrade took too long. */
  abort(): void {
    this.#abort?.abort();
  }
}
