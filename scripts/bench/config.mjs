// Reading a large configuration: 200 drop-ins and 20 subimages, by `mkosi summary`, `mkimg summary` and `mkimg lint`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../setup.mjs';
import { installMkosi, mkimg, report, work } from './common.mjs';

const dropIns = 200;
const subimages = 20;

/** @param {number} runs */
export function benchConfig(runs) {
  const mkosi = installMkosi();
  const project = writeProject();
  const commands = {
    mkosi: `${mkosi} -C ${project} summary`,
    mkimg: `${mkimg} -C ${project} summary`,
    'mkimg lint': `${mkimg} -C ${project} lint`,
  };
  report(measureAll(commands, runs), 'mkosi');
  console.log('\npeak memory of the largest process');
  for (const [name, command] of Object.entries(commands)) {
    console.log(`${name.padEnd(18)} ${peakMemory(command).toFixed(0).padStart(7)} MiB`);
  }
}

/**
 * Seconds of each run, by command.
 * @param {Record<string, string>} commands @param {number} runs @returns {Record<string, number[]>}
 */
function measureAll(commands, runs) {
  const file = join(work, 'hyperfine-config.json');
  const named = Object.entries(commands).flatMap(([name, command]) => ['--command-name', name, command]);
  run('hyperfine', [
    '--warmup',
    '1',
    '--runs',
    String(runs),
    '--style',
    'none',
    '--export-json',
    file,
    ...named,
  ]);
  /** @type {{ command: string, times: number[] }[]} */
  const results = JSON.parse(readFileSync(file, 'utf8')).results;
  return Object.fromEntries(results.map(({ command, times }) => [command, times]));
}

/** MiB. @param {string} command */
function peakMemory(command) {
  // ru_maxrss of getrusage(2), in KiB, which Node does not tell of other processes. mkosi needs Python anyway.
  const script = `import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)`;
  const { stdout } = spawnSync('python3', ['-c', script, ...command.split(' ')], { encoding: 'utf8' });
  return Number(stdout) / 1024;
}

/** A project that both tools read: each file sets some values, and half of the drop-ins have conditions. */
function writeProject() {
  const project = join(work, 'project-config');
  rmSync(project, { recursive: true, force: true });
  for (const directory of ['mkosi.conf.d', 'mkosi.images']) {
    mkdirSync(join(project, directory), { recursive: true });
  }
  writeFileSync(
    join(project, 'mkosi.conf'),
    '[Distribution]\nDistribution=debian\nRelease=trixie\n\n[Output]\nFormat=directory\n\n[Content]\nPackages=systemd\n',
  );
  for (let index = 0; index < dropIns; index++) {
    const name = `${String(index).padStart(3, '0')}.conf`;
    const condition = ['', '[Match]\nDistribution=fedora\n\n', '[Match]\nRelease=|trixie\nRelease=|sid\n\n'][
      index % 3
    ];
    writeFileSync(
      join(project, 'mkosi.conf.d', name),
      `${condition}[Content]\nPackages=\n    package-${index}-a\n    package-${index}-b\nKernelCommandLine=option${index}=1\n\n[Build]\nEnvironment=VARIABLE_${index}=%d-%r\n`,
    );
  }
  for (let index = 0; index < subimages; index++) {
    const directory = join(project, 'mkosi.images', `image-${String(index).padStart(2, '0')}`);
    mkdirSync(directory);
    writeFileSync(
      join(directory, 'mkosi.conf'),
      `[Output]\nFormat=directory\n\n[Content]\nPackages=image-${index}\n`,
    );
  }
  return project;
}
