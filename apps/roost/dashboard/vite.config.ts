import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

/** One script and one style beside the page, under names that the server knows: see src/admin/dashboard-files.ts. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/',
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    rollupOptions: {
      output: {
        entryFileNames: 'dashboard.js',
        assetFileNames: 'dashboard.[ext]',
        codeSplitting: false,
      },
    },
  },
});
