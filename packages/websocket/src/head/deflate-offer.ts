import { extension, PerMessageDeflate } from 'ws';
import { PERMESSAGE_DEFLATE, type DeflateOptions } from '../ws/ws-adapter.ts';

/** A window as RFC 7692 §7.1.2 writes it; ws takes `0xf` and `015` as well. */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;
const WINDOW_PARAMETERS = ['client_max_window_bits', 'server_max_window_bits'];

/**
 * One element of Sec-WebSocket-Extensions as ws is to be given it, reduced to what the answer may name: ws answers the
 * parameters that it is shown, and those that it must add. Undefined for what is to be declined: another extension,
 * what is malformed, and a permessage-deflate that RFC 7692 §7.1 does not know or that `options` cannot meet.
 */
export function deflateOffer(
  element: string,
  options: DeflateOptions,
  serverMaxWindowBits: number,
): string | undefined {
  try {
    const offers = extension.parse(element)[PERMESSAGE_DEFLATE];
    const offered = offers?.[0];
    if (offers === undefined || offered === undefined) return undefined;
    const windows = WINDOW_PARAMETERS.flatMap((name) => offered[name] ?? []);
    if (windows.some((bits) => bits !== true && !WINDOW_BITS.test(bits))) return undefined;
    const parameters = [PERMESSAGE_DEFLATE];
    if ('server_no_context_takeover' in offered) parameters.push('server_no_context_takeover');
    if ('server_max_window_bits' in offered) {
      parameters.push(`server_max_window_bits=${serverMaxWindowBits}`);
    }
    new PerMessageDeflate({ ...options, isServer: true, serverMaxWindowBits }).accept(offers);
    return parameters.join('; ');
  } catch {
    return undefined;
  }
}
