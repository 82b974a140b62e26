import { describe, expect, expectTypeOf, it } from 'vitest';
import { accept, defineApp, reject } from './app.ts';
import type { Acceptance, App, AppModule } from './app.ts';
import type { Connection } from './connection.ts';

// What types claim is checked by the compiler: npm run check:types. test/app-types.test.ts shows what it says.

interface Member {
  readonly room: string;
  role?: 'guest' | 'host';
}

/** Is compiled, and never called. */
function claims(connection: Connection, some: { either: string | Buffer; maybe?: string }): void {
  connection.send('text');
  connection.send(Buffer.from('text'), false);
  connection.send(new Uint8Array(1));
  connection.send(some.either);
  void connection.publish('news', some.either);
  // @ts-expect-error -- an object
  connection.send({ hello: 'world' });
  // @ts-expect-error -- a list
  connection.send([1, 2]);
  // @ts-expect-error -- a number
  connection.send(7);
  // @ts-expect-error -- perhaps nothing
  connection.send(some.maybe);
  // @ts-expect-error -- an object
  void connection.publish('news', { hello: 'world' });
}

describe('defineApp', () => {
  it('returns what it is given', () => {
    const app = { open: () => undefined };
    const factory = (): App => app;
    const list = [app];
    expect(defineApp(app)).toBe(app);
    expect(defineApp(factory)).toBe(factory);
    expect(defineApp(list)).toBe(list);
  });

  it('knows the attachment from the upgrade hook', () => {
    const app = defineApp({
      upgrade(request) {
        if (request.path !== '/') return undefined;
        return accept({ attachment: { from: request.remoteAddress } });
      },
      open: (connection) => void expectTypeOf(connection.attachment).toEqualTypeOf<{ from: string }>(),
      message(connection, data) {
        expectTypeOf(connection).toEqualTypeOf<Connection<{ from: string }>>();
        expectTypeOf(data).toEqualTypeOf<Buffer>();
      },
      writable: ({ attachment }) => void expectTypeOf(attachment).toEqualTypeOf<{ from: string }>(),
      close: ({ attachment }) => void expectTypeOf(attachment).toEqualTypeOf<{ from: string }>(),
    });
    expectTypeOf(app).toEqualTypeOf<App<{ from: string }>>();
  });

  it('knows it from an asynchronous upgrade hook, and from the app that a factory makes', () => {
    defineApp({
      upgrade: async (request) => accept({ attachment: await Promise.resolve(request.path) }),
      message: ({ attachment }) => void expectTypeOf(attachment).toEqualTypeOf<string>(),
    });
    const factory = defineApp((context) => ({
      upgrade: ({ path }) => accept({ attachment: { on: context.worker, path } }),
      message: ({ attachment }) =>
        void expectTypeOf(attachment).toEqualTypeOf<{ on: number; path: string }>(),
    }));
    expectTypeOf(factory).toEqualTypeOf<AppModule<{ on: number; path: string }>>();
    defineApp(async (context) => {
      const on = await Promise.resolve(context.worker);
      return {
        upgrade: ({ path }) => accept({ attachment: { on, path } }),
        message: ({ attachment }) =>
          void expectTypeOf(attachment).toEqualTypeOf<{ on: number; path: string }>(),
      };
    });
  });

  it('allows for connections without one where the hook also accepts without', () => {
    defineApp({
      upgrade: (request) =>
        request.path === '/' ? accept() : accept({ attachment: { path: request.path } }),
      message: ({ attachment }) =>
        void expectTypeOf(attachment).toEqualTypeOf<{ path: string } | undefined>(),
    });
  });

  it('lets an app that attaches nothing set one of any type later', () => {
    defineApp({
      upgrade: () => accept({ channels: ['news'] }),
      open(connection) {
        expectTypeOf(connection.attachment).toBeUnknown();
        connection.attachment = { count: 0 };
      },
    });
    defineApp({ message: (connection) => void expectTypeOf(connection.attachment).toBeUnknown() });
    defineApp({
      // Before the upgrade hook nothing is known of it.
      close: (connection) => void expectTypeOf(connection.attachment).toBeUnknown(),
      upgrade: (request) => accept({ attachment: { path: request.path } }),
    });
  });

  it('takes the type by its name, and then only that is accepted', () => {
    const app = defineApp<Member>({
      message(connection) {
        connection.attachment.role = 'host';
        // @ts-expect-error -- no such role
        connection.attachment.role = 'gust';
        // @ts-expect-error -- no room
        connection.attachment = { role: 'host' };
      },
      upgrade: () => accept({ attachment: { room: 'lobby', role: 'guest' } }),
    });
    expectTypeOf(app).toEqualTypeOf<App<Member>>();
    defineApp<Member>(({ worker }) => ({
      upgrade: () => accept({ attachment: { room: String(worker) } }),
      message: ({ attachment }) => void expectTypeOf(attachment).toEqualTypeOf<Member>(),
    }));
    // @ts-expect-error -- nothing attached
    defineApp<Member>({ upgrade: () => accept({ channels: ['news'] }) });
    // @ts-expect-error -- something else attached
    defineApp<Member>({ upgrade: () => accept({ attachment: { rom: 'lobby' } }) });
    // @ts-expect-error -- also in a factory
    defineApp<Member>(() => ({ upgrade: async () => accept({ attachment: 7 }) }));
    // @ts-expect-error -- no such hook
    defineApp({ mesage: () => undefined });
  });

  it('leaves any as it is', () => {
    const parsed = JSON.parse('{"a":1}');
    defineApp({
      upgrade: () => accept({ attachment: parsed }),
      message: ({ attachment }) => void expectTypeOf(attachment).toBeAny(),
    });
  });

  it('takes lists of apps with different attachments', () => {
    const chat = defineApp<Member>({ upgrade: () => accept({ attachment: { room: 'lobby' } }) });
    const echo = defineApp({ upgrade: () => accept({ attachment: 7 }) });
    const list = defineApp([chat, echo, { upgrade: () => reject(404, 'nothing here') }]);
    expectTypeOf(list).toEqualTypeOf<AppModule>();
    expectTypeOf(chat).toExtend<App>();
    expectTypeOf<Connection<Member>>().toExtend<Connection>();
  });
});

describe('accept', () => {
  it('has the type of its attachment', () => {
    expectTypeOf(accept({ attachment: { n: 1 } })).toEqualTypeOf<Acceptance<{ n: number }>>();
    expectTypeOf(accept()).toEqualTypeOf<Acceptance<undefined>>();
    // @ts-expect-error -- channels are a list
    accept({ channels: 'news' });
    // @ts-expect-error -- no such option
    accept({ chanels: ['news'], attachment: 7 });
    expect(accept({ attachment: 7, channels: ['news'] })).toMatchObject({
      kind: 'accept',
      attachment: 7,
      channels: ['news'],
    });
  });
});

describe('send and publish', () => {
  it('take strings and bytes, and nothing else', () => {
    expect(claims).toBeTypeOf('function');
    defineApp((context) => {
      void context.publish('news', 'text');
      // @ts-expect-error -- an object
      void context.publish('news', { hello: 'world' });
      return {};
    });
  });

  it('can be stood in for by plain functions', () => {
    const sent: unknown[] = [];
    const standIn: Pick<Connection, 'send' | 'publish'> = {
      send: (data) => sent.push(data) > 0,
      publish: async (channel, data) => void sent.push([channel, data]),
    };
    expect(standIn.send('hello')).toBe(true);
    expect(sent).toEqual(['hello']);
  });
});
