import { readFileSync } from 'node:fs';

/** Packages of ours: a project has exactly the version that has made it. */
const OURS = ['@roost/farm', 'roost-server'];

/** What npm takes as the name of a package: lower case, and nothing that a URL would have to escape. */
const NOT_OF_A_NAME = /[^a-z0-9-_.~]+/g;

interface Manifest {
  name: string;
  dependencies: Record<string, string>;
}

/** The package.json of a project: the template's, with a name made of its folder's and with our versions. */
export function manifestFor(template: string, folderName: string): string {
  const manifest: Manifest = JSON.parse(template);
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  manifest.name = nameOf(folderName);
  for (const name of OURS) manifest.dependencies[name] = version;
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

function nameOf(folderName: string): string {
  const name = folderName
    .toLowerCase()
    .replaceAll(NOT_OF_A_NAME, '-')
    .replace(/^[-_.~]+|-+$/g, '')
    .slice(0, 214);
  return name === '' ? 'roost-app' : name;
}
