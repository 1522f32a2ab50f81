// What the benchmarks share: where they work, mkosi as a peer, measuring with hyperfine, and the table of results.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectDirectory, run } from '../setup.mjs';

const cacheHome =
  process.env['XDG_CACHE_HOME'] ?? (process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache'));

/** Where the benchmarks keep their projects, caches and outputs. */
export const work = join(cacheHome, 'mkimg-bench');

/** The command that starts the built mkimg. */
export const mkimg = `${process.execPath} ${join(projectDirectory, 'dist/cli/main.js')}`;

/** Runs the command once; returns seconds. @param {string} name @param {string} command */
export function measure(name, command) {
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

/** Medians, and as parts of what `base` takes. @param {Record<string, number[]>} times @param {string} base */
export function report(times, base) {
  const whole = median(times[base] ?? []);
  console.log(`\nmedian             seconds   of ${base}`);
  for (const [name, values] of Object.entries(times)) {
    const value = median(values);
    console.log(`${name.padEnd(18)} ${value.toFixed(2).padStart(7)}   ${(value / whole).toFixed(3)}`);
  }
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Unpacks Debian's mkosi from forky; nothing is installed on the host. Returns the command. */
export function installMkosi() {
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
export function hostSources() {
  const directory = '/etc/apt/sources.list.d';
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.sources'))) {
    const stanzas = readFileSync(join(directory, name), 'utf8').split(/\n\s*\n/);
    const archive = stanzas.find((stanza) => /^URIs:.*\/debian\/?\s*$/m.test(stanza));
    if (archive !== undefined) return archive.replace(/^#.*\n/gm, '').trim() + '\n';
  }
  throw new Error(`no deb822 sources of Debian's archive in ${directory}`);
}
