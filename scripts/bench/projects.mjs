// Projects of Debian trixie that both mkimg and mkosi read, with one cache for all of them.
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../setup.mjs';
import { hostSources, mkimg, work } from './common.mjs';

export const directory = join(work, 'engine');
const cache = join(directory, 'cache');
const store = join(cache, 'store');

/** Where mkimg keeps the package file of this digest. @param {string} sha256 */
export function packageFile(sha256) {
  return join(cache, 'packages', `${sha256}.deb`);
}

/** The command that builds a project. @param {string} project @param {string} [options] */
export function build(project, options = '') {
  return `${mkimg} -C ${project} --output-directory ${project}.out ${options} build`;
}

/** Runs a command for what it leaves behind. @param {string} command */
export function quiet(command) {
  run('sh', ['-c', `${command} >${join(directory, 'warm.log')} 2>&1`]);
}

/** Removes what mkimg keeps of packages and kernels beside results: -ff leaves it, as it leaves downloads. */
export function forgetParts() {
  for (const { path, record } of entries()) {
    if (['unpacked-package', 'module-indexes', 'module-digest'].includes(record.kind))
      rmSync(path, { recursive: true });
  }
}

/** Digests of the packages that a project's main image was resolved to last. */
export function lastResolved() {
  const resolved = entries().filter(({ record }) => record.label === 'main: resolve packages');
  const [newest] = resolved.sort((left, right) => right.lastUsed - left.lastUsed);
  if (newest === undefined) throw new Error('nothing was resolved yet');
  /** @type {{ packages: { sha256: string, size: number }[] }} */
  const { packages } = JSON.parse(readFileSync(join(newest.path, 'file'), 'utf8'));
  return packages;
}

/** All results in the store. */
function entries() {
  return readdirSync(store)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => ({
      path: join(store, name),
      record: JSON.parse(readFileSync(join(store, name, 'record.json'), 'utf8')),
      // mkimg marks what it uses.
      lastUsed: statSync(join(store, name, 'record.json')).mtimeMs,
    }));
}

const outputSettings = ['Format', 'Seed', 'CompressOutput', 'SplitArtifacts'];

/** @param {string} name @param {Readonly<Record<string, string>>} settings */
export function writeProject(name, settings) {
  const project = join(directory, name);
  const sources = join(project, 'mkosi.sandbox/etc/apt/sources.list.d');
  const places = [sources, cache, join(work, 'packages'), `${project}.out`, `${project}.peer`];
  for (const place of places) mkdirSync(place, { recursive: true });
  writeFileSync(join(sources, 'mkosi.sources'), hostSources().replace(/^Suites:.*$/m, 'Suites: trixie'));
  const buildSettings = {
    ToolsTree: 'default',
    ToolsTreeDistribution: 'debian',
    ToolsTreeRelease: 'trixie',
    ToolsTreeSandboxTrees: join(project, 'mkosi.sandbox'),
    PackageCacheDirectory: join(work, 'packages'),
    CacheDirectory: cache,
  };
  writeFileSync(
    join(project, 'mkosi.conf'),
    [
      section('Distribution', { Distribution: 'debian', Release: 'trixie' }),
      imageSections(settings),
      section('Build', buildSettings),
    ].join('\n'),
  );
  return project;
}

/** Adds a subimage. @param {string} project @param {string} name @param {Readonly<Record<string, string>>} settings */
export function writeImage(project, name, settings) {
  const image = join(project, 'mkosi.images', name);
  mkdirSync(image, { recursive: true });
  writeFileSync(join(image, 'mkosi.conf'), imageSections(settings));
}

/** @param {Readonly<Record<string, string>>} settings */
function imageSections(settings) {
  const rows = Object.entries(settings);
  const isOutput = (/** @type {readonly [string, string]} */ [name]) => outputSettings.includes(name);
  const output = Object.fromEntries(rows.filter(isOutput));
  const content = Object.fromEntries(rows.filter((row) => !isOutput(row)));
  return [section('Output', output), section('Content', content)].join('\n');
}

/** @param {string} name @param {Readonly<Record<string, string>>} settings */
function section(name, settings) {
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  return `[${name}]\n${lines.join('')}`;
}
