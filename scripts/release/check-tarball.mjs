import { readFileSync } from 'node:fs';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

/**
 * Ways of resolving that cannot work here: Node's before "exports", and require() of a module by a Node that cannot. Those
 * that Roost needs can; test/packages.test.ts runs a CommonJS program.
 */
const NOT_SERVED = new Set(['node10', 'node16-cjs']);

/** What publint and "are the types wrong" have against a tarball, in sentences. */
export async function tarballProblems(path) {
  const bytes = readFileSync(path);
  return [...(await packageProblems(bytes)), ...(await typeProblems(bytes))];
}

async function packageProblems(bytes) {
  const { messages, pkg } = await publint({
    pack: { tarball: bytes.buffer },
    level: 'suggestion',
    strict: true,
  });
  return messages
    .filter(({ type }) => type !== 'suggestion')
    .map((message) => `publint: ${formatMessage(message, pkg)}`);
}

async function typeProblems(bytes) {
  const result = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)));
  // A package of commands has none.
  if (result.types === false) return [];
  return result.problems
    .filter(({ resolutionKind }) => !NOT_SERVED.has(resolutionKind))
    .map((problem) => `types: ${JSON.stringify(problem)}`);
}
