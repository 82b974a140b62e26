import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Target } from '../target.ts';
import { Handshake } from './handshake.ts';

const TARGET: Target = {
  address: '127.0.0.1',
  port: 80,
  authority: 'roost.test',
  path: '/room/{i}?channel={i}',
  headers: ['X-User: {i}'],
  tls: null,
};

function answerTo(handshake: Handshake): string {
  const key = /Sec-WebSocket-Key: (\S+)/.exec(handshake.request(0).toString())?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept: ${accept}\r\n\r\n`;
}

function judge(handshake: Handshake, text: string): unknown {
  const bytes = Buffer.from(`before${text}`);
  return handshake.judge(bytes, 6, bytes.length);
}

describe('Handshake', () => {
  it('puts the number of the connection into path, query and headers', () => {
    const request = new Handshake(TARGET).request(17).toString();
    expect(request).toMatch(/\r\nX-User: 17\r\n\r\n$/);
    const [requestLine, host] = request.split('\r\n');
    expect(requestLine).toBe('GET /room/17?channel=17 HTTP/1.1');
    expect(host).toBe('Host: roost.test');
  });

  it('accepts the right answer, and says where the frames behind it begin', () => {
    const handshake = new Handshake(TARGET);
    const head = answerTo(handshake);
    // Twice: the second time the answer is known already.
    for (let i = 0; i < 2; i++)
      expect(judge(handshake, `${head}\x81\x00`)).toEqual({ headBytes: head.length });
  });

  it('waits while the head is incomplete', () => {
    const handshake = new Handshake(TARGET);
    const head = answerTo(handshake);
    expect(judge(handshake, head.slice(0, -1))).toEqual({ headBytes: 0 });
    judge(handshake, head);
    expect(judge(handshake, head.slice(0, -1))).toEqual({ headBytes: 0 });
  });

  it('refuses another key, another status, no HTTP and endless heads', () => {
    const handshake = new Handshake(TARGET);
    const head = answerTo(handshake);
    judge(handshake, head);
    expect(judge(handshake, head.replace(/accept: ./, 'accept: #'))).toEqual({
      failure: 'wrong Sec-WebSocket-Accept',
    });
    expect(judge(handshake, 'HTTP/1.1 404 Not Found\r\n\r\n')).toEqual({ failure: 'http 404' });
    expect(judge(handshake, 'SSH-2.0-x\r\n\r\n')).toEqual({ failure: 'answer is not HTTP' });
    expect(judge(handshake, `HTTP/1.1 101 x\r\n${'a: b\r\n'.repeat(3000)}`)).toEqual({
      failure: 'answer too long',
    });
  });
});
