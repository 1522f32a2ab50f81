// `npm run demo`: from a fresh clone to a Debian image that was built and booted.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectDirectory, setUp } from './setup.mjs';

setUp();
const scratch = mkdtempSync(join(tmpdir(), 'mkimg-demo-'));
try {
  process.exitCode = demo();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function demo() {
  const build = mkimg('build');
  if (build.status !== 0) return build.status;
  const boot = mkimg('test');
  console.log(summary(build.events, boot.events));
  return boot.status;
}

/** @param {string} verb */
function mkimg(verb) {
  const log = join(scratch, `${verb}.ndjson`);
  const argv = [
    join(projectDirectory, 'dist/cli/main.js'),
    '-C',
    join(projectDirectory, 'images/debian'),
    '--events',
    log,
    verb,
  ];
  console.log(`\n$ mkimg -C images/debian ${verb}`);
  const result = spawnSync(process.execPath, argv, { stdio: 'inherit' });
  return { status: result.status ?? 1, events: readEvents(log) };
}

/**
 * An event as a demo reads it; src/base/events.ts has them all.
 * @typedef {{type: string, bytes: number, path: string, state: string, label: string, milliseconds: number, phase: string}} Event
 */

/** @param {string} log @returns {Event[]} */
function readEvents(log) {
  try {
    return readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => /** @type {Event} */ (JSON.parse(line)));
  } catch {
    return [];
  }
}

/** @param {Event[]} build @param {Event[]} boot */
function summary(build, boot) {
  const lines = ['', 'Artifacts'];
  for (const event of build.filter(({ type }) => type === 'artifact')) {
    lines.push(
      `  ${mebibytes(event.bytes).padStart(9)}  ${event.path}${event.state === 'unchanged' ? '  (was up to date)' : ''}`,
    );
  }
  const steps = build
    .filter(({ type }) => type === 'step-finished')
    .sort((a, b) => b.milliseconds - a.milliseconds);
  lines.push(steps.length === 0 ? 'Nothing had to be built' : 'Time per step (steps run side by side)');
  for (const event of steps.slice(0, 12))
    lines.push(`  ${seconds(event.milliseconds).padStart(9)}  ${event.label}`);
  const total = build.find(({ type }) => type === 'run-finished');
  if (total !== undefined) lines.push(`  ${seconds(total.milliseconds).padStart(9)}  build in all`);
  lines.push('Boot');
  for (const event of boot.filter(({ type }) => type === 'boot'))
    lines.push(`  ${seconds(event.milliseconds).padStart(9)}  ${event.phase}`);
  return lines.join('\n');
}

/** @param {number} bytes */
function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
