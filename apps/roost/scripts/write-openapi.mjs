// Writes docs/reference/openapi.yaml and openapi-admin.yaml from the operations. Needs a build: npm run docs:openapi -w apps/roost
// makes one.
import { readFileSync, writeFileSync } from 'node:fs';
import { openApiDocuments, openApiText } from '../dist/openapi/files.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
for (const [name, document] of Object.entries(openApiDocuments(version))) {
  writeFileSync(new URL(`../../../docs/reference/${name}`, import.meta.url), openApiText(document));
}
