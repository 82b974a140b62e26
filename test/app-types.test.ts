import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Programs } from './documents/programs.ts';

let programs: Programs;

beforeAll(async () => {
  programs = await Programs.create();
});

afterAll(() => programs.remove());

/** What `tsc --strict` says of a module. */
async function said(language: 'js' | 'ts', text: string): Promise<string> {
  const program = await programs.add({
    language,
    text: `import { accept, defineApp } from '@roost/farm';\n${text}\n`,
  });
  return program.complaints();
}

function notOfType(note: string): string {
  return `is not assignable to parameter of type '"${note}"'.`;
}

function appThatReads(property: string): string {
  return `export default defineApp({
  upgrade: (request) => accept({ attachment: { from: request.remoteAddress } }),
  close: (connection, code) => console.log(connection.attachment.${property}, code),
});`;
}

describe('the compiler', () => {
  it.each(['js', 'ts'] as const)(
    'says what to do with an object that is sent or published (%s)',
    async (language) => {
      const text = `export default defineApp((context) => ({
      async message(connection) {
        connection.send({ hello: 'world' });
        await connection.publish('news', { hello: 'world' });
        await context.publish('news', 7);
      },
    }));`;
      const lines = (await said(language, text)).trimEnd().split('\n');
      expect(lines).toEqual([
        expect.stringContaining(notOfType('send() takes a string or bytes; use JSON.stringify(value)')),
        expect.stringContaining(notOfType('publish() takes a string or bytes; use JSON.stringify(value)')),
        expect.stringContaining(notOfType('publish() takes a string or bytes; use JSON.stringify(value)')),
      ]);
      expect(lines[0]).toContain('(4,');
    },
  );

  it('names what an attachment lacks, at the hook that attaches it', async () => {
    const text = `interface Member { room: string }
export default defineApp<Member>({
  message: (connection) => void connection.send(connection.attachment.room),
  upgrade: () => accept({ attachment: { rom: 'lobby' } }),
});`;
    const complaints = await said('ts', text);
    expect(complaints).toMatch(/^\S*\(5,/);
    expect(complaints).toContain("Property 'room' is missing in type '{ rom: string; }'");
  });

  it('knows the attachment of an app in JavaScript, without any annotation', async () => {
    expect(await said('js', appThatReads('from'))).toBe('');
    expect(await said('js', appThatReads('form'))).toContain(
      "Property 'form' does not exist on type '{ from: string; }'.",
    );
  });
});
