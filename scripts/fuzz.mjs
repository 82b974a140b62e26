import { fileURLToPath } from 'node:url';
import { createViteServer } from 'vitest/node';

/** Runs test/fuzz/main.ts on the sources, as vitest runs the specs: no build of it is needed. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const server = await createViteServer({
  root: ROOT,
  configFile: false,
  logLevel: 'error',
  appType: 'custom',
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  ssr: { resolve: { conditions: ['source'], externalConditions: ['source'] } },
});
try {
  const { main } = await server.ssrLoadModule('/test/fuzz/main.ts');
  process.exitCode = await main(process.argv.slice(2));
} finally {
  await server.close();
}
