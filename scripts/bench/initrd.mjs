// Initrds of one system by mkimg, mkinitramfs, dracut and mkosi-initrd, for the same kernel, in turns: how long they take, how
// large they are, and how long a machine takes from the kernel to its root with them.
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { measure, median } from './common.mjs';
import { bootSeconds, makeRoot } from './initrd/boots.mjs';
import { directory, inSystem, inSystemCommand, kernelVersion, makeTrees, system } from './initrd/trees.mjs';

/** @type {Record<string, number[]>} */
const times = {};
/** @type {Record<string, number>} */
const sizes = {};
/** @type {Record<string, number[]>} */
const boots = {};
/** By instructions: the least of all turns, because the clock runs on while the guest waits for a disk. @type {Record<string, number>} */
const counted = {};

const cache = '/var/cache/mkimg';
const mkimg = 'node /opt/mkimg/dist/cli/main.js';
const upgraded = 'kmod';

/**
 * @param {number} runs
 * @param {string} [only] `trees`: what the others need; `times`: making initrds; `boots`: sizes, and booting what was made
 */
export function benchInitrd(runs, only) {
  makeTrees();
  makeRoot();
  writeHook();
  const outputs = commands();
  if (only === undefined || only === 'times') timeAll(outputs, runs);
  if (only === undefined || only === 'boots') bootAll(Object.keys(outputs), runs);
  if (only !== 'trees') summarize();
}

/** How each initrd is made in the system. @returns {Record<string, string>} */
function commands() {
  const version = kernelVersion();
  return {
    'mkimg, host-plus': `${mkimg} initrd --kernel-version ${version} --output /var/tmp/mkimg-host-plus.img`,
    'mkimg, generic': `${mkimg} initrd --generic --kernel-version ${version} --output /var/tmp/mkimg-generic.img`,
    mkinitramfs: `mkinitramfs -o /var/tmp/mkinitramfs.img ${version}`,
    'dracut, generic': `dracut --force --no-hostonly /var/tmp/dracut-generic.img ${version}`,
    'dracut, hostonly': `dracut --force --hostonly /var/tmp/dracut-hostonly.img ${version}`,
    'mkosi-initrd, generic': [
      'env PATH=/opt/mkosi/usr/bin:$PATH PYTHONPATH=/opt/mkosi/usr/lib/python3/dist-packages mkosi-initrd',
      `--generic --kernel-version ${version} --output mkosi-generic.img --output-dir /var/tmp`,
    ].join(' '),
  };
}

/** @param {Record<string, string>} outputs @param {number} runs */
function timeAll(outputs, runs) {
  const version = kernelVersion();
  for (let turn = 1; turn <= runs; turn++) {
    console.log(`turn ${turn}, load ${loadavg()[0]?.toFixed(1)}`);
    timeMkimg(outputs['mkimg, host-plus'] ?? '', version, turn);
    for (const [name, command] of Object.entries(outputs)) {
      // Peers keep nothing, so that each of their runs is cold; the slow ones once.
      if (name.startsWith('mkimg')) quiet(command);
      else if (turn === 1 || name === 'mkinitramfs') time(name, command);
    }
  }
}

/** @param {readonly string[]} names @param {number} runs */
function bootAll(names, runs) {
  console.log(`boots, load ${loadavg()[0]?.toFixed(1)}`);
  for (const name of names) {
    const file = fileOf(name);
    if (!existsSync(file)) continue;
    sizes[name] = statSync(file).size;
  }
  // That one is for this machine, not for the emulated one.
  const bootable = Object.keys(sizes).filter((other) => other !== 'dracut, hostonly');
  for (let turn = 1; turn <= runs; turn++)
    for (const name of bootable) {
      (boots[name] ??= []).push(bootSeconds(fileOf(name), false));
      counted[name] = Math.min(counted[name] ?? Infinity, bootSeconds(fileOf(name), true));
    }
}

/** @param {string} name */
function fileOf(name) {
  return join(system, 'var/tmp', `${name.replace('mkosi-initrd', 'mkosi').replace(', ', '-')}.img`);
}

/** @param {string} initrd the command that makes one @param {string} version of the kernel @param {number} turn */
function timeMkimg(initrd, version, turn) {
  inSystem(`rm -rf ${cache}`);
  time('cold', initrd);
  quiet(hook(version));
  for (let again = 0; again < 5; again++) time('hook, nothing changed', hook(version));
  inSystem(`cd ${cache}/initrd; rm -rf modules records/modules-* segments/modules-*`);
  time('hook, new kernel', hook(version));
  upgrade(turn);
  time('hook, one package upgraded', hook(version));
  quiet(initrd);
  time(
    'hook, a profile switched on',
    `KERNEL_INSTALL_MKIMG_OPTIONS=--profile=lvm; export KERNEL_INSTALL_MKIMG_OPTIONS; ${hook(version)}`,
  );
}

/** kernel-install calls its plugins like this. @param {string} version */
function hook(version) {
  const environment = {
    KERNEL_INSTALL_MKIMG: '/opt/bench/mkimg',
    KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg',
    KERNEL_INSTALL_LAYOUT: 'bls',
    KERNEL_INSTALL_BOOT_ROOT: '/boot',
    KERNEL_INSTALL_IMAGE_TYPE: 'pe',
    KERNEL_INSTALL_STAGING_AREA: '/tmp/staging',
  };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const plugin = '/opt/mkimg/kernel-install.d/50-mkimg.install';
  const image = `/usr/lib/modules/${version}/vmlinuz`;
  return `mkdir -p /tmp/staging; env ${variables.join(' ')} ${plugin} add ${version} /boot/bench/${version} ${image}`;
}

function writeHook() {
  inSystem(
    `mkdir -p /opt/bench; printf '#!/bin/sh\\nexec ${mkimg} "$@"\\n' >/opt/bench/mkimg; chmod 755 /opt/bench/mkimg`,
  );
}

/** Installs a package again in another version, with another content. @param {number} turn */
function upgrade(turn) {
  inSystem(`
    cd /tmp
    dpkg-deb --raw-extract /var/cache/apt/archives/${upgraded}_*[0-9]_*.deb new
    sed -i 's/^Version: .*/&+bench${turn}.'$(date +%s)'/' new/DEBIAN/control
    echo >>new/usr/bin/${upgraded}
    (cd new && find usr etc -type f ! -path 'etc/*' | xargs md5sum >DEBIAN/md5sums)
    dpkg-deb --build -Znone new new.deb >/dev/null
    dpkg --no-triggers --install new.deb >/dev/null 2>&1`);
}

/** @param {string} name @param {string} command in the system */
function time(name, command) {
  (times[name] ??= []).push(measure(name, inSystemCommand(command)));
}

/** @param {string} command in the system */
function quiet(command) {
  inSystem(`${command} >/var/tmp/bench.log 2>&1`);
}

/** What must hold: seconds, parts of what another row takes, bytes. */
const targets = /** @type {const} */ ([
  ['hook, nothing changed', 0.35],
  ['hook, new kernel', 1.2],
  ['hook, one package upgraded', 2],
  ['cold', 5],
]);
const megabyte = 1_000_000;

function summarize() {
  if (Object.keys(times).length > 0) summarizeTimes();
  if (Object.keys(boots).length > 0) summarizeBoots();
  const results = { times, sizes, boots, counted };
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results, undefined, 2)}\n`);
}

function summarizeTimes() {
  console.log('\ncase                          median   target');
  for (const [name, target] of targets)
    console.log(
      `${name.padEnd(28)} ${median(times[name] ?? [])
        .toFixed(2)
        .padStart(6)} s  ${target} s`,
    );
  for (const [name, values] of Object.entries(times)) {
    if (targets.some(([known]) => known === name)) continue;
    console.log(`${name.padEnd(28)} ${median(values).toFixed(2).padStart(6)} s`);
  }
  // Turns of one load: the ratio is that of each turn.
  const ratios = (times['cold'] ?? []).map(
    (seconds, turn) => seconds / (times['mkinitramfs']?.[turn] ?? Number.NaN),
  );
  console.log(`${'cold, of mkinitramfs'.padEnd(28)} ${median(ratios).toFixed(2).padStart(6)}    0.7`);
}

function summarizeBoots() {
  console.log('\ninitrd                            MB   kernel to root   by instructions');
  for (const [name, bytes] of Object.entries(sizes)) {
    const seconds = median(boots[name] ?? []).toFixed(1);
    console.log(
      `${name.padEnd(28)} ${(bytes / megabyte).toFixed(1).padStart(7)}  ${seconds.padStart(6)} s  ${(counted[name] ?? Number.NaN).toFixed(1).padStart(10)} s`,
    );
  }
  console.log('targets: 20 MB host-plus, 30 MB generic; to the root no later than mkinitramfs and dracut');
}
