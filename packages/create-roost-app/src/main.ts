import { createProject, whatNext } from './create-project.ts';
import { ProjectError } from './errors.ts';

/** `npm create roost-app [folder]`: the same as `roost init [folder]`. */
const words = process.argv.slice(2);
const [folder = '.'] = words;
if (words.length > 1 || folder.startsWith('-')) {
  process.stderr.write('Usage: npm create roost-app [folder]\n');
  process.exitCode = folder === '--help' || folder === '-h' ? 0 : 78;
} else {
  try {
    process.stdout.write(whatNext(createProject(folder, process.cwd()), process.cwd()));
  } catch (error) {
    if (!(error instanceof ProjectError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}
