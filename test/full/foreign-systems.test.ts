/** images/minimal as a whole system of each other architecture: built here, booted in software, asked by its test. */
import { spawnSync } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { archiveTree } from '../helpers/archive-tree.ts';
import type { CliOptions } from '../helpers/cli.ts';
import { mkimg } from '../helpers/cli.ts';
import { isRoot, ordinaryUserPrefix } from '../helpers/ordinary-user.ts';

const repository = resolve(import.meta.dirname, '../..');

interface Report {
  readonly passed: boolean;
  readonly tests: readonly {
    readonly steps: readonly { readonly passed: boolean }[];
    readonly boots: readonly {
      readonly failedUnits: readonly unknown[];
      readonly memory: { readonly available: number };
    }[];
  }[];
}

/** Packages of trixie and of forky; the sources name no updates, which mirrors have late for some of these. */
const systems = [
  ['arm64', 'trixie'],
  ['riscv64', 'trixie'],
  ['x86', 'trixie'],
  ['arm', 'trixie'],
  ['loongarch64', 'forky'],
  ['ppc64-le', 'forky'],
  ['s390x', 'forky'],
] as const;

async function buildAndTest(argv: readonly string[], options: CliOptions = {}): Promise<void> {
  const built = await mkimg([...argv, 'build'], options);
  expect(built.code, built.stderr).toBe(0);
  const tested = await mkimg([...argv, '--json', 'test'], options);
  expect(tested.code, tested.stdout + tested.stderr).toBe(0);
  const { passed, tests } = JSON.parse(tested.stdout) as Report;
  expect(passed).toBe(true);
  const [system] = tests;
  expect(system?.steps.every((step) => step.passed)).toBe(true);
  // The agent reported and ran commands: the console alone could tell none of this.
  expect(system?.steps.length).toBeGreaterThan(4);
  expect(system?.boots[0]?.failedUnits).toEqual([]);
  expect(system?.boots[0]?.memory.available).toBeGreaterThan(0);
}

function flagsFor(architecture: string, release: string, archive: string): readonly string[] {
  return [
    ...[`--architecture=${architecture}`, `--release=${release}`],
    // A release that is not out yet may be past its date on a mirror.
    ...[`--sandbox-tree=${archive}`, `--check-valid-until=${release === 'forky' ? 'no' : 'yes'}`],
  ];
}

describe('a whole system of another architecture', () => {
  it.each(systems)('%s (%s): comes up and does what its test says', async (architecture, release) => {
    await using directory = await temporaryDirectory('/var/tmp', 'mkimg-foreign-');
    const flags = flagsFor(architecture, release, await archiveTree(directory.path, release));
    await buildAndTest([
      ...['-C', join(repository, 'images/minimal'), `--output-directory=${directory.path}/out`],
      ...flags,
    ]);
  });

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
