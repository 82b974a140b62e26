// What vitest's reports in JSON say, for .ci/run.
//   summary.cjs failed-files REPORT                        the files in which something failed, a line each
//   summary.cjs summary REPORT AGAIN CHECKED TESTED        the closing lines; AGAIN is of the files that ran once more, or empty
const { readFileSync } = require('node:fs');
const path = require('node:path');

const [command, first, again, checked, tested] = process.argv.slice(2);

/** Of a run that wrote none: undefined. */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A file that failed outside of its tests (an import, a hook, a leak) fails no test, and counts as one. */
function failuresOf({ name, status, message, assertionResults }) {
  const tests = assertionResults.filter((test) => test.status === 'failed');
  const file = path.relative(process.cwd(), name);
  if (tests.length > 0)
    return tests.map(({ fullName, failureMessages }) => `${file}: ${fullName}: ${failureMessages[0]}`);
  return status === 'failed' ? [`${file}: ${message}`] : [];
}

const passedOf = ({ assertionResults }) => assertionResults.filter((test) => test.status === 'passed').length;
const firstLine = (text) => text.split('\n', 1)[0];

const report = read(first);
const files = report?.testResults ?? [];

if (command === 'failed-files') {
  for (const file of files) if (failuresOf(file).length > 0) console.log(file.name);
} else {
  const second = new Map((read(again)?.testResults ?? []).map((file) => [file.name, file]));
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    const last = second.get(file.name) ?? file;
    passed += passedOf(last);
    failed += failuresOf(last).length;
    if (last === file) continue;
    const outcome = failuresOf(last).length > 0 ? 'Failed twice' : 'Passed at the second attempt only';
    for (const failure of failuresOf(file)) console.log(`${outcome}: ${firstLine(failure)}`);
  }
  if (report === undefined) console.log('The specs wrote no report.');
  const isMended = second.size > 0 && failed === 0;
  if (tested !== '0' && failed === 0 && !isMended) failed = 1;
  if (checked !== '0') failed += 1;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
