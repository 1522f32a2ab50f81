// A bootable disk of Debian from scratch, and again without a change, by mkosi and mkimg from the same mkosi.conf.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../setup.mjs';
import { hostSources, installMkosi, measure, mkimg, report, work } from './common.mjs';

/** @param {number} runs */
export function benchBuild(runs) {
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
  report(times, 'mkosi');
  reportMemory(commands.mkimg);
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
