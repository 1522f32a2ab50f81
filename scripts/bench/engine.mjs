// The engine: what builds from scratch, small changes and shared packages cost, beside mkosi and mmdebstrap with the same
// packages.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { projectDirectory } from '../setup.mjs';
import { hostSources, installMkosi, measure, median } from './common.mjs';
import { build, directory, forgetParts, quiet, writeImage, writeProject } from './projects.mjs';

const packages = 'linux-image-amd64 systemd systemd-sysv systemd-boot systemd-boot-efi udev dbus kmod'.split(
  ' ',
);
/** Small packages without dependencies: a new one is added in each turn. */
const additions = ['less', 'hello', 'ed', 'tree', 'bc', 'dc', 'sl', 'cowsay'];
const initrdPackages = 'systemd systemd-sysv systemd-cryptsetup udev kmod dbus util-linux e2fsprogs'.split(
  ' ',
);

/** @type {Record<string, number[]>} */
const times = {};
/** @type {Record<string, number>} */
const memory = {};

/** @param {number} runs @param {string} [only] a part of it */
export function benchEngine(runs, only) {
  const mkosi = installMkosi();
  const disk = writeProject('disk', diskSettings(packages));
  const initrd = writeProject('initrd', {
    Format: 'cpio',
    MakeInitrd: 'yes',
    Packages: initrdPackages.join(' '),
  });
  const tree = writeProject('tree', { Format: 'directory', Packages: treePackages.join(' ') });
  // Trees alone, as mmdebstrap makes them.
  const archive = {
    ...{ Format: 'tar', CompressOutput: 'none', SplitArtifacts: '', Initrds: '' },
    Packages: packages.join(' '),
  };
  const one = writeProject('one', { ...archive, Hostname: 'one' });
  const two = writeProject('two', { ...archive, Hostname: 'one' });
  writeImage(two, 'second', { ...archive, Hostname: 'two' });
  const further = writeProject('further', { ...archive, Packages: additions.join(' ') });
  const bootstrap = mmdebstrap();
  console.log('warming package caches and tools trees');
  for (const project of [disk, initrd, tree, one, two, further]) quiet(build(project));
  for (const project of [disk, initrd]) {
    if (readdirSync(`${project}.peer`).length === 0) quiet(peer(mkosi, project, '-ff'));
  }
  quiet(bootstrap);
  const parts = {
    disk: (/** @type {number} */ turn) => measureDisk(disk, mkosi, turn),
    initrd: () => {
      time('initrd, mkosi', peer(mkosi, initrd, '-ff'));
      timeFromScratch('initrd', initrd);
    },
    images: () => {
      timeFromScratch('one image', one);
      timeFromScratch('two images', two);
    },
    tree: () => {
      time('tree, mmdebstrap', bootstrap);
      timeFromScratch('tree', tree);
    },
  };
  const isWanted = (/** @type {string} */ part) => only === undefined || part === only;
  for (let turn = 0; turn < runs; turn++) {
    console.log(`turn ${turn + 1}, load ${loadavg()[0]?.toFixed(1)}`);
    for (const [part, measurePart] of Object.entries(parts)) if (isWanted(part)) measurePart(turn);
  }
  if (isWanted('disk')) {
    memory['disk, mkosi'] = peakMemory(peer(mkosi, disk, '-ff'));
    forgetParts();
    memory['disk'] = peakMemory(build(disk, '-ff'));
  }
  summarize();
}

/** @param {string} disk @param {string} mkosi @param {number} turn */
function measureDisk(disk, mkosi, turn) {
  time('disk, mkosi', peer(mkosi, disk, '-ff'));
  timeFromScratch('disk', disk);
  time('disk, packages unpacked before', build(disk, '-ff'));
  time('unchanged', build(disk));
  quiet(peer(mkosi, disk, '-ff --incremental=yes'));
  changeExtra(disk, turn);
  time('extra file, mkosi', peer(mkosi, disk, '-f --incremental=yes'));
  time('extra file', build(disk));
  const more = writeProject(
    'disk',
    diskSettings([...packages, additions[turn % additions.length] ?? 'less']),
  );
  time('package added', build(more));
  writeProject('disk', diskSettings(packages));
}

/** @param {string} name @param {string} project */
function timeFromScratch(name, project) {
  forgetParts();
  time(name, build(project, '-ff'));
}

/** Without a kernel: mkimg would make an initrd for it. */
const treePackages = [
  'systemd-sysv',
  'udev',
  'dbus',
  'kmod',
  'openssh-server',
  'build-essential',
  'git',
  'vim',
];

/** @param {readonly string[]} names */
function diskSettings(names) {
  const seed = '6f2fd34c-55ba-4c1d-9bd5-7a4eb1a4e4f6';
  return { Format: 'disk', Seed: seed, Bootable: 'yes', Packages: names.join(' ') };
}

/** What must hold, as the ratio of two rows. */
const targets = /** @type {const} */ ([
  ['disk', 'disk, mkosi', 0.2],
  ['extra file', 'extra file, mkosi', 0.15],
  ['package added', 'disk', 0.35],
  ['initrd', 'initrd, mkosi', 0.2],
  ['two images', 'one image', 1.3],
  ['tree', 'tree, mmdebstrap', 0.3],
]);

function summarize() {
  console.log('\ncase                       seconds   of                    ratio   target');
  /** @type {{ name: string, seconds: number, base: string, baseSeconds: number, ratio: number, target: number }[]} */
  const rows = [];
  for (const [name, base, target] of targets.filter(([row]) => times[row] !== undefined)) {
    // Turns of one load: the ratio is that of each turn.
    const ratios = (times[name] ?? []).map((seconds, turn) => seconds / (times[base]?.[turn] ?? Number.NaN));
    const row = { name, seconds: best(name), base, baseSeconds: best(base), ratio: median(ratios), target };
    rows.push(row);
    const columns = [name.padEnd(26), row.seconds.toFixed(2).padStart(7), `  ${base.padEnd(21)}`];
    console.log(`${columns.join(' ')} ${row.ratio.toFixed(3)}   ${target}`);
  }
  if (times['unchanged'] !== undefined) {
    console.log(`unchanged                  ${best('unchanged').toFixed(2).padStart(7)} s, target 0.4`);
  }
  console.log(`peak memory, MiB: ${JSON.stringify(memory)}`);
  writeFileSync(
    join(directory, 'results.json'),
    `${JSON.stringify({ times, memory, rows }, undefined, 2)}\n`,
  );
}

/** @param {string} name */
function best(name) {
  return Math.min(...(times[name] ?? []));
}

/** @param {string} name @param {string} command */
function time(name, command) {
  (times[name] ??= []).push(measure(name, command));
}

/** In MiB. @param {string} command */
function peakMemory(command) {
  const sampler = join(projectDirectory, 'scripts/bench/peak-memory.mjs');
  const { stdout } = spawnSync(process.execPath, [sampler, command], { encoding: 'utf8' });
  return Math.round(Number(stdout) / 2 ** 20);
}

/** @param {string} mkosi @param {string} project @param {string} options */
function peer(mkosi, project, options) {
  // All projects share the tools tree that mkosi makes beside the first.
  const tools = project.endsWith('/disk') ? '' : `--tools-tree ${join(directory, 'disk/mkosi.tools')}`;
  return `${mkosi} -C ${project} --output-directory ${project}.peer ${tools} ${options} build`;
}

/** @param {string} project @param {number} turn */
function changeExtra(project, turn) {
  mkdirSync(join(project, 'mkosi.extra/etc'), { recursive: true });
  writeFileSync(join(project, 'mkosi.extra/etc/motd'), `turn ${turn} ${Date.now()}\n`);
}

/** The same tree by mmdebstrap, with its downloads kept. */
function mmdebstrap() {
  const debs = join(directory, 'debs');
  const sources = join(directory, 'trixie.sources');
  mkdirSync(debs, { recursive: true });
  writeFileSync(sources, hostSources().replace(/^Suites:.*$/m, 'Suites: trixie'));
  const target = join(directory, 'bootstrap');
  const script = join(directory, 'mmdebstrap.sh');
  writeFileSync(
    script,
    [
      'set -e',
      `rm -rf ${target}`,
      'exec mmdebstrap --quiet --mode=root --variant=essential --skip=download/empty --skip=essential/unlink \\',
      `  --include=${treePackages.join(',')} --aptopt='APT::Install-Recommends "false"' \\`,
      `  --setup-hook='mkdir -p "$1/var/cache/apt/archives"' --setup-hook='sync-in ${debs} /var/cache/apt/archives' \\`,
      `  --customize-hook='sync-out /var/cache/apt/archives ${debs}' trixie ${target} ${sources}`,
      '',
    ].join('\n'),
  );
  return `env INITRD=No sh ${script}`;
}
