import { expect, it } from 'vitest';
import { deflateOffer } from './deflate-offer.ts';

function reduced(element: string): string | undefined {
  return deflateOffer(element, { clientNoContextTakeover: true, clientMaxWindowBits: false }, 12);
}

it('judges one offer of compression, and answers it as it is shown', () => {
  expect(reduced('permessage-deflate')).toBe('permessage-deflate');
  expect(reduced('permessage-deflate; client_no_context_takeover; client_max_window_bits=9')).toBe(
    'permessage-deflate',
  );
  expect(reduced('permessage-deflate; server_max_window_bits="15"; server_no_context_takeover')).toBe(
    'permessage-deflate; server_no_context_takeover; server_max_window_bits=12',
  );
  for (const declined of [
    '',
    'a; b=c',
    'permessage-deflate; a',
    'permessage-deflate; server_max_window_bits=11',
  ]) {
    expect(reduced(declined)).toBeUndefined();
  }
});
