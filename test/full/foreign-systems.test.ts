/** images/minimal as a whole system of each other architecture: built here, booted in software, asked by its test. */
import { spawnSync } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { archiveTree } from '../helpers/archive-tree.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';
import { buildAndTest } from '../helpers/whole-system.ts';

const repository = resolve(import.meta.dirname, '../..');

/** Packages of trixie and of forky; the sources name no updates, which mirrors have late for some of these. */
const systems = [
  ['riscv64', 'trixie'],
  ['x86', 'trixie'],
  ['arm', 'trixie'],
  ['loongarch64', 'forky'],
  ['ppc64-le', 'forky'],
  ['s390x', 'forky'],
] as const;

function flagsFor(architecture: string, release: string, archive: string): readonly string[] {
  return [
    ...[`--architecture=${architecture}`, `--release=${release}`],
    // A release that is not out yet may be past its date on a mirror.
    ...[`--sandbox-tree=${archive}`, `--check-valid-until=${release === 'forky' ? 'no' : 'yes'}`],
  ];
}

async function buildAndTestMinimal(
  [architecture, release]: readonly [string, string],
  flags: readonly string[] = [],
): Promise<void> {
  await using directory = await temporaryDirectory('/var/tmp', 'mkimg-foreign-');
  await buildAndTest([
    ...['-C', join(repository, 'images/minimal'), `--output-directory=${directory.path}/out`],
    ...flagsFor(architecture, release, await archiveTree(directory.path, release)),
    ...flags,
  ]);
}

describe('a whole system of another architecture', () => {
  it.each(systems)('%s (%s): comes up and does what its test says', async (...system) => {
    await buildAndTestMinimal(system);
  });

  // Without firmware there is no SMBIOS, and the agent comes on a kernel command line of 1 or 2 KiB.
  it.each(['arm', 'riscv64', 'arm64'])(
    '%s: does so also when QEMU loads the kernel',
    async (architecture) => {
      await buildAndTestMinimal([architecture, 'trixie'], ['--firmware=linux']);
    },
  );

  it.skipIf(!isRoot)('is built and tested by an ordinary user (needs root to become one)', async () => {
    await using directory = await temporaryDirectory('/var/tmp', 'mkimg-foreign-');
    const binds = { mkimg: repository };
    const prefix = await ordinaryUserPrefix({
      ...{ scratch: directory.path, hasSubordinateIds: true, binds },
    });
    const home = join(directory.path, 'home');
    const archive = await archiveTree(directory.path, 'trixie');
    spawnSync('cp', ['-a', join(repository, 'images/minimal'), join(home, 'minimal')]);
    spawnSync('chown', ['--recursive', '--reference', home, join(home, 'minimal')]);
    await chmod(archive, 0o755);
    await buildAndTest(['-C', join(home, 'minimal'), ...flagsFor('arm64', 'trixie', archive)], {
      prefix,
      program: join(directory.path, 'mkimg/dist/cli/main.js'),
    });
  });
});
