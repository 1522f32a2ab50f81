// `npm run bench -- build`: mkimg beside mkosi on one configuration, in turns, as ratios of one run on one machine.
//
//   npm run bench -- build [--runs N]     from scratch, and again without a change
//
// Both read the same mkosi.conf; package downloads and tools trees are warm. mkosi 27 comes from Debian's forky.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectDirectory, run, setUp } from './setup.mjs';

const cacheHome =
  process.env['XDG_CACHE_HOME'] ?? (process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache'));
const work = join(cacheHome, 'mkimg-bench');
const mkimg = `${process.execPath} ${join(projectDirectory, 'dist/cli/main.js')}`;

const [what = 'build', ...options] = process.argv.slice(2);
const runs = Number(options[options.indexOf('--runs') + 1] ?? 3) || 3;
if (what !== 'build') {
  console.error(`unknown benchmark '${what}'; there is: build`);
  process.exit(2);
}
setUp({ hyperfine: 'hyperfine', 'dpkg-deb': 'dpkg' });
benchBuild();

function benchBuild() {
  const mkosi = installMkosi();
  const project = writeProject();
  const commands = {
    mkosi: `${mkosi} -C ${project} --output-directory ${join(work, 'out-mkosi')} -ff build`,
    mkimg: `${mkimg} -C ${project} --output-directory ${join(work, 'out-mkimg')} -ff build`,
  };
  console.log('warming package caches and tools trees');
  for (const command of Object.values(commands))
    run('sh', ['-c', `${command} >${join(work, 'warm.log')} 2>&1`]);
  /** @type {Record<string, number[]>} */
  const times = { mkosi: [], mkimg: [], 'mkimg, unchanged': [] };
  for (let turn = 1; turn <= runs; turn++) {
    for (const [name, command] of Object.entries(commands)) times[name]?.push(measure(name, command));
    times['mkimg, unchanged']?.push(
      measure('mkimg, unchanged', commands.mkimg.replace(' -ff build', ' build')),
    );
  }
  report(times);
  reportMemory(commands.mkimg);
}

/** @param {string} name @param {string} command */
function measure(name, command) {
  const file = join(work, 'hyperfine.json');
  run('hyperfine', [
    '--runs',
    '1',
    '--style',
    'none',
    '--export-json',
    file,
    '--command-name',
    name,
    command,
  ]);
  const seconds = JSON.parse(readFileSync(file, 'utf8')).results[0].mean;
  console.log(`  ${name.padEnd(18)} ${seconds.toFixed(2)} s`);
  return seconds;
}

/** @param {Record<string, number[]>} times */
function report(times) {
  const base = median(times['mkosi'] ?? []);
  console.log('\nmedian             seconds   of mkosi');
  for (const [name, values] of Object.entries(times)) {
    const value = median(values);
    console.log(`${name.padEnd(18)} ${value.toFixed(2).padStart(7)}   ${(value / base).toFixed(3)}`);
  }
}

/** Peak memory of mkimg's own processes, as they tell it; the tools that they start do not count. */
/** @param {string} command */
function reportMemory(command) {
  const log = join(work, 'events.ndjson');
  run('sh', ['-c', `${command.replace(' -ff', ` --events ${log} -ff`)} >${join(work, 'memory.log')} 2>&1`]);
  const peaks = readFileSync(log, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'resources')
    .map(({ peakMemoryBytes }) => peakMemoryBytes / 2 ** 20);
  console.log(`\npeak memory of mkimg's own process: ${Math.max(...peaks).toFixed(0)} MiB`);
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Unpacks Debian's mkosi from forky; nothing is installed on the host. Returns the command. */
function installMkosi() {
  const unpacked = join(work, 'mkosi');
  if (!existsSync(join(unpacked, 'usr/bin/mkosi'))) {
    mkdirSync(join(work, 'apt/lists/partial'), { recursive: true });
    mkdirSync(unpacked, { recursive: true });
    writeFileSync(join(work, 'apt/forky.sources'), hostSources().replace(/^Suites:.*$/m, 'Suites: forky'));
    const apt = [
      [
        '-o',
        `Dir::Etc::SourceList=${join(work, 'apt/forky.sources')}`,
        '-o',
        'Dir::Etc::SourceParts=/nonexistent',
      ],
      ['-o', `Dir::State::Lists=${join(work, 'apt/lists')}`, '-o', 'Acquire::Check-Valid-Until=false'],
    ].flat();
    run('apt-get', [...apt, '--quiet', '--quiet', 'update']);
    run('sh', ['-c', `cd ${unpacked} && apt-get ${apt.join(' ')} --quiet --quiet download mkosi`]);
    const deb = readdirSync(unpacked).find((name) => name.endsWith('.deb'));
    if (deb === undefined) throw new Error('mkosi was not downloaded');
    run('dpkg-deb', ['-x', join(unpacked, deb), unpacked]);
  }
  return `env PYTHONPATH=${join(unpacked, 'usr/lib/python3/dist-packages')} python3 -m mkosi`;
}

/** The host's own archive stanza (deb822), so that no mirror is named here. */
function hostSources() {
  const directory = '/etc/apt/sources.list.d';
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.sources'))) {
    const stanzas = readFileSync(join(directory, name), 'utf8').split(/\n\s*\n/);
    const archive = stanzas.find((stanza) => /^URIs:.*\/debian\/?\s*$/m.test(stanza));
    if (archive !== undefined) return archive.replace(/^#.*\n/gm, '').trim() + '\n';
  }
  throw new Error(`no deb822 sources of Debian's archive in ${directory}`);
}

/** A bootable disk of Debian trixie, as reference measurements use it. */
function writeProject() {
  const project = join(work, 'project');
  const sources = join(project, 'mkosi.sandbox/etc/apt/sources.list.d');
  for (const directory of [
    sources,
    join(work, 'cache'),
    join(work, 'packages'),
    join(work, 'out-mkosi'),
    join(work, 'out-mkimg'),
  ]) {
    mkdirSync(directory, { recursive: true });
  }
  writeFileSync(join(sources, 'mkosi.sources'), hostSources().replace(/^Suites:.*$/m, 'Suites: trixie'));
  writeFileSync(
    join(project, 'mkosi.conf'),
    `[Distribution]
Distribution=debian
Release=trixie

[Output]
Format=disk
Seed=6f2fd34c-55ba-4c1d-9bd5-7a4eb1a4e4f6

[Content]
Bootable=yes
Packages=linux-image-amd64 systemd systemd-sysv systemd-boot systemd-boot-efi udev dbus kmod

[Build]
ToolsTree=default
ToolsTreeDistribution=debian
ToolsTreeRelease=trixie
ToolsTreeSandboxTrees=${join(project, 'mkosi.sandbox')}
PackageCacheDirectory=${join(work, 'packages')}
CacheDirectory=${join(work, 'cache')}
`,
  );
  return project;
}
