// `npm test`: sets the clone up, checks form and types, runs every kind of test, and ends with one line of sums.
// `--full` adds the slow ones (test/full).
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { projectDirectory, run, setUp, testPrograms } from './setup.mjs';

const full = process.argv.includes('--full');
setUp(testPrograms);
run('npm', ['run', '--silent', 'lint']);

const scratch = mkdtempSync(join(tmpdir(), 'mkimg-test-'));
const sums = { passed: 0, failed: 0, skipped: 0 };
/** Names of the tests that failed: shown last, since logs of CI are often cut in front. @type {string[]} */
const failures = [];
try {
  for (const kind of ['unit', 'golden', 'contract', 'integration', 'boot', ...(full ? ['full'] : [])])
    runKind(kind);
  for (const corpus of ['visible', 'real']) runCorpus(corpus);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const failure of failures) console.log(`failed: ${failure}`);
const skipped = sums.skipped === 0 ? '' : `, ${sums.skipped} skipped`;
console.log(`${sums.passed} passed, ${sums.failed} failed${skipped}`);
process.exitCode = sums.failed === 0 && sums.passed > 0 ? 0 : 1;

/** @param {string} kind */
function runKind(kind) {
  const report = join(scratch, `${kind}.json`);
  const argv = [
    'vitest',
    'run',
    '--project',
    kind,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
  const result = spawnSync('npx', argv, { cwd: projectDirectory, stdio: 'inherit' });
  const { counts, failed } = readReport(report);
  failures.push(...failed);
  sums.passed += counts.numPassedTests;
  sums.skipped += counts.numPendingTests + counts.numTodoTests;
  // A run that ended badly without a failed test (a file that does not load, say) is a failure all the same.
  sums.failed += Math.max(counts.numFailedTests, result.status === 0 ? 0 : 1);
}

/**
 * Configurations with what they mean, which lie beside the clone where there are any.
 * @param {string} corpus
 */
function runCorpus(corpus) {
  const folder = join(projectDirectory, '../shared/conformance');
  if (!existsSync(join(folder, corpus))) {
    console.log(`conformance/${corpus}: not here (${folder})`);
    return;
  }
  const program = [process.execPath, join(projectDirectory, 'dist/cli/main.js')];
  // The corpus may be read-only; then the runner's copies of it are too, and only root can remove those.
  const cases = join(scratch, `conformance-${corpus}`);
  cpSync(join(folder, corpus), cases, { recursive: true, verbatimSymlinks: true });
  run('chmod', ['-R', 'u+w', cases]);
  const argv = [join(folder, 'run.mjs'), cases, '--', ...program];
  const result = spawnSync(process.execPath, argv, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  console.log(`conformance/${corpus}\n${result.stdout.trimEnd()}`);
  const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(result.stdout) ?? [];
  sums.passed += Number(passed ?? 0);
  sums.failed += Math.max(Number(failed ?? 0), result.status === 0 ? 0 : 1);
}

/**
 * @typedef {{numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number}} Counts
 * @typedef {{status: string, fullName: string, failureMessages: string[]}} Assertion
 * @typedef {{name: string, status: string, message: string, assertionResults: Assertion[]}} FileResult
 * @param {string} report @returns {{counts: Counts, failed: string[]}}
 */
function readReport(report) {
  if (!existsSync(report))
    return {
      counts: { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 },
      failed: [`no report of vitest: ${report}`],
    };
  const content = /** @type {Counts & {testResults: FileResult[]}} */ (
    JSON.parse(readFileSync(report, 'utf8'))
  );
  return { counts: content, failed: content.testResults.flatMap(failuresOf) };
}

/** @param {FileResult} file @returns {string[]} */
function failuresOf(file) {
  const path = relative(projectDirectory, file.name);
  const failed = file.assertionResults.filter(({ status }) => status === 'failed');
  if (failed.length === 0) return file.status === 'failed' ? [`${path}: ${file.message}`] : [];
  return failed.map(({ fullName, failureMessages }) => `${path}: ${fullName}: ${failureMessages[0] ?? ''}`);
}
