// Builds images/minimal for each architecture, and boots it in software, as parts of what x86-64 takes in the same run (or, with --only, in an earlier one).
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectDirectory, run } from '../setup.mjs';
import { hostSources, measure, median, mkimg, work } from './common.mjs';

const reference = 'x86-64';
const others = ['x86', 'arm64', 'arm', 'riscv64', 'ppc64-le', 's390x', 'loongarch64'];

/**
 * @typedef {{ build: number[], boot: number[] }} Times
 * @param {number} runs
 * @param {string} [only] this architecture, beside what runs before have measured of the others
 * @param {string} [forky] those that are taken from forky besides loongarch64, separated by commas, for mirrors that lack their
 * packages of trixie
 */
export function benchArchitectures(runs, only, forky) {
  const fromForky = ['loongarch64', ...(forky ?? '').split(',')];
  const file = join(work, 'arch.json');
  /** @type {Record<string, Times>} */
  const times = only !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  for (const architecture of [reference, ...others]) {
    if (only !== undefined && architecture !== only) continue;
    const release = fromForky.includes(architecture) ? 'forky' : 'trixie';
    times[architecture] = timesOf(architecture, release, runs);
  }
  writeFileSync(file, JSON.stringify(times));
  print(times);
}

/** @param {string} architecture @param {string} release @param {number} runs @returns {Times} */
function timesOf(architecture, release, runs) {
  const output = join(work, `arch-${architecture}`);
  rmSync(output, { recursive: true, force: true });
  const command = [
    mkimg,
    ...['-C', join(projectDirectory, 'images/minimal')],
    `--architecture=${architecture}`,
    `--release=${release}`,
    // The release alone, because mirrors that are not in step lack indexes of its updates for rarer architectures.
    `--sandbox-tree=${archiveOf(release)}`,
    '--check-valid-until=no',
    `--output-directory=${output}`,
  ].join(' ');
  console.log(`${architecture}: warming package caches and tools trees`);
  for (const verb of ['build', 'tools vm'])
    run('sh', ['-c', `${command} ${verb} >${join(work, 'warm.log')} 2>&1`]);
  /** @type {Times} */
  const times = { build: [], boot: [] };
  for (let turn = 1; turn <= runs; turn++) {
    times.build.push(measure(`build ${architecture}`, `${command} -ff build`));
    run('sh', ['-c', `${command} test >${join(work, 'boot.log')} 2>&1`]);
    const [boot] = JSON.parse(readFileSync(join(output, 'test-results/system/report.json'), 'utf8')).boots;
    console.log(`  ${`boot ${architecture}`.padEnd(18)} ${boot.secondsToReport.toFixed(2)} s`);
    times.boot.push(boot.secondsToReport);
  }
  return times;
}

/** Configuration that takes packages of a release, and none of its updates. @param {string} release */
function archiveOf(release) {
  const tree = join(work, `archive-${release}`);
  const sources = join(tree, 'etc/apt/sources.list.d');
  mkdirSync(sources, { recursive: true });
  writeFileSync(join(sources, 'mkimg.sources'), hostSources().replace(/^Suites:.*$/m, `Suites: ${release}`));
  return tree;
}

/** The table of docs/architectures.md. @param {Record<string, Times>} times */
function print(times) {
  const base = times[reference] ?? { build: [], boot: [] };
  /** @param {number} value @param {number} whole */
  const ratio = (value, whole) => (value / whole).toFixed(2);
  console.log('\n| Architecture= | build | of x86-64 | boot | of x86-64 |\n|---|---|---|---|---|');
  for (const [name, { build, boot }] of Object.entries(times)) {
    const [built, booted] = [median(build), median(boot)];
    console.log(
      `| \`${name}\` | ${built.toFixed(1)} s | ${ratio(built, median(base.build))} | ${booted.toFixed(1)} s | ${ratio(booted, median(base.boot))} |`,
    );
  }
}
