import { describe, expect, it } from 'vitest';
import { connectRaw, SWITCHING, upgradeRequest } from '../harness/system.ts';
import { sharedFarm } from './exchange.ts';

const farm = sharedFarm();

/** What the server answers to a request, up to the empty line: first the status line, then the headers. */
async function answer(request: string): Promise<string[]> {
  const client = await connectRaw(farm().port);
  client.writeText(request);
  const lines = (await client.readHead()).split('\r\n').slice(0, -2);
  await client.close();
  return lines;
}

describe("§4.2.2 the server's opening handshake", () => {
  it("is 101 with the accept value of the RFC's own example, and nothing that was not asked for", async () => {
    expect(await answer(upgradeRequest('/echo'))).toEqual([
      SWITCHING,
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ]);
  });

  it.each<[string, Record<string, string | undefined>]>([
    ['names in any case', { Upgrade: undefined, uPGRADE: 'websocket' }],
    ['Upgrade in any case', { Upgrade: 'WebSocket' }],
    ['Connection with other tokens', { Connection: 'keep-alive, Upgrade' }],
    ['Connection in any case', { Connection: 'upgrade' }],
    ['an Origin', { Origin: 'https://example.com' }],
    ['headers of other purposes', { Cookie: 'a=b; c=d', 'User-Agent': 'test', 'X-Unknown': 'é' }],
    ['spaces around the key', { 'Sec-WebSocket-Key': '  dGhlIHNhbXBsZSBub25jZQ==  ' }],
    ['the version before the last draft, as ws', { 'Sec-WebSocket-Version': '8' }],
    ['Upgrade with other protocols', { Upgrade: 'h2c, websocket' }],
    ['Upgrade and Connection with empty elements', { Upgrade: ',websocket', Connection: ', Upgrade ,' }],
    ['an empty list of subprotocols, as of React Native', { 'Sec-WebSocket-Protocol': '' }],
    ['subprotocols with an empty element at the end', { 'Sec-WebSocket-Protocol': 'chat,' }],
    ['subprotocols with an empty element at the start', { 'Sec-WebSocket-Protocol': ', chat' }],
    ['an empty list of extensions', { 'Sec-WebSocket-Extensions': '' }],
    ['an extension whose value is no token', { 'Sec-WebSocket-Extensions': 'a; b="os::0123-abcd"' }],
    ['what is no list of extensions', { 'Sec-WebSocket-Extensions': ';;' }],
  ])('takes %s', async (_, headers) => {
    const lines = await answer(upgradeRequest('/echo', headers));
    expect(lines).toContain(SWITCHING);
    expect(lines).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  it('takes a target in absolute form (§4.2.1 1), and an empty line before it', async () => {
    const lines = await answer(`\r\n${upgradeRequest('http://h.example:80/echo')}`);
    expect(lines).toContain(SWITCHING);
  });

  it.each<[string, Record<string, string | undefined>, number]>([
    ['no Host (§4.2.1 1)', { Host: undefined }, 400],
    ['no Connection', { Connection: undefined }, 400],
    ['a Connection that does not name Upgrade', { Connection: 'keep-alive' }, 400],
    ['no Sec-WebSocket-Key', { 'Sec-WebSocket-Key': undefined }, 400],
    ['a key of 15 bytes', { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAA' }, 400],
    ['a key of 17 bytes', { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAAA=' }, 400],
    ['a key that is not base64', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25j!!==' }, 400],
    ['no Sec-WebSocket-Version', { 'Sec-WebSocket-Version': undefined }, 400],
    ['two subprotocols of one name', { 'Sec-WebSocket-Protocol': 'chat, chat' }, 400],
    ['a subprotocol that is no token', { 'Sec-WebSocket-Protocol': 'chat room' }, 400],
  ])('refuses %s', async (_, headers, status) => {
    const [first] = await answer(upgradeRequest('/echo', headers));
    expect(first).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it.each(['14', '7', 'thirteen', '013', '+13', '0xd', '13.0'])(
    'answers version %s, which it does not speak, with those that it does (§4.4)',
    async (version) => {
      const lines = await answer(upgradeRequest('/echo', { 'Sec-WebSocket-Version': version }));
      expect(lines[0]).toBe('HTTP/1.1 426 Upgrade Required');
      expect(lines).toContain('Sec-WebSocket-Version: 13, 8');
    },
  );

  it('answers a handshake that is no GET with the method that is allowed', async () => {
    const lines = await answer(upgradeRequest('/echo', {}, 'POST /echo HTTP/1.1'));
    expect(lines[0]).toBe('HTTP/1.1 405 Method Not Allowed');
    expect(lines).toContain('Allow: GET');
  });

  it('selects no subprotocol that the application did not choose, and none that was not offered', async () => {
    const lines = await answer(upgradeRequest('/echo', { 'Sec-WebSocket-Protocol': 'chat, superchat' }));
    expect(lines).toContain(SWITCHING);
    expect(lines.filter((line) => /^Sec-WebSocket-Protocol/i.test(line))).toEqual([]);
  });

  it('accepts no extension that it does not speak (§9.1)', async () => {
    const lines = await answer(upgradeRequest('/echo', { 'Sec-WebSocket-Extensions': 'x-unknown; a=1' }));
    expect(lines).toContain(SWITCHING);
    expect(lines.filter((line) => /^Sec-WebSocket-Extensions/i.test(line))).toEqual([]);
  });
});
