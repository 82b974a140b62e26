// Writes docs/reference/config.md from the option table. Needs a build: npm run docs:config -w apps/roost makes one.
import { writeFileSync } from 'node:fs';
import { configReference } from '../dist/config/reference.js';

writeFileSync(new URL('../../../docs/reference/config.md', import.meta.url), configReference());
