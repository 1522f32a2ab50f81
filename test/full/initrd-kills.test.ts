/** kill -9 in the middle of the hook: whatever the moment, the initrd that is there boots, and the next run is right. */
import { spawn } from 'node:child_process';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostPath } from '../../src/base/brand.ts';
import { sha256 } from '../../src/base/canonical.ts';
import { isErrno } from '../../src/base/errors.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { ext4On, rootUuid } from '../helpers/boot-scripts.ts';
import { mkimg } from '../helpers/cli.ts';
import { bootSuite, testBoots } from '../helpers/initrd-boot-suite.ts';
import type { HookMachine, System } from '../helpers/kernel-install.ts';
import { hookMachine, kernelInstall, kernelInstallCommand } from '../helpers/kernel-install.ts';

const times = 100;

let scratch: TemporaryDirectory;
let system: System;
let machine: HookMachine;

beforeAll(async () => {
  scratch = await temporaryDirectory('/var/tmp', 'test-initrd-kills-');
  machine = await hookMachine(scratch.path);
  ({ system } = machine);
});
afterAll(() => scratch[Symbol.asyncDispose]());

const add = (): readonly string[] => ['add', system.kernelVersion, system.kernel];
const bootFile = (): string => join(machine.bootRoot, `initrd.img-${system.kernelVersion}`);
const survivor = (): string => join(scratch.path, 'survivor');

async function setKeymap(name: string): Promise<void> {
  await writeFile(join(system.root, 'etc/vconsole.conf'), `KEYMAP=${name}\n`);
}

async function digestOfBoot(): Promise<string> {
  return sha256(await readFile(bootFile()));
}

/** Runs the hook undisturbed; answers the digest of what it made, and how long it took. */
async function madeWith(keymap: string): Promise<{ readonly digest: string; readonly milliseconds: number }> {
  await setKeymap(keymap);
  const started = performance.now();
  const { code, stderr } = await kernelInstall(machine, add());
  expect(code, stderr).toBe(0);
  return { digest: await digestOfBoot(), milliseconds: performance.now() - started };
}

/** kernel-install and all that it starts, killed after some time. */
async function killAfter(milliseconds: number): Promise<void> {
  const { argv, env } = kernelInstallCommand(machine, add());
  const [program = '', ...rest] = argv;
  const child = spawn(program, rest, { detached: true, stdio: 'ignore', cwd: '/', env });
  const ended = new Promise((done) => child.once('exit', done));
  await Promise.race([sleep(milliseconds), ended]);
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    // It ended at that very moment.
    if (!isErrno(error, 'ESRCH')) throw error;
  }
  await ended;
}

/** What is made anew in a round: from the file of the machine alone to all that is kept for initrds. */
const losses = [
  [],
  ['initrd/segments'],
  ['initrd/records'],
  ['initrd/segments', 'initrd/records', 'initrd/modules'],
  ['initrd'],
] as const;

async function remains(): Promise<readonly string[]> {
  const directories = ['', 'segments', 'records', 'standing', 'manifests', 'modules', 'locks'];
  const names = await Promise.all(
    directories.map((name) => readdir(join(machine.cache, 'initrd', name)).catch(() => [])),
  );
  return [...names.flat().filter((name) => name.startsWith('.') || /\.tmp$|^initrd/.test(name))];
}

describe('the hook', () => {
  it(`may be killed at any moment, ${times} times`, async () => {
    const known = new Map<string, string>();
    let longest = 0;
    for (const keymap of ['us', 'de']) {
      await rm(join(machine.cache, 'initrd'), { recursive: true, force: true });
      const { digest, milliseconds } = await madeWith(keymap);
      known.set(keymap, digest);
      longest = Math.max(longest, milliseconds);
      const checked = await mkimg(['initrd', 'check', bootFile()]);
      expect(checked.code, checked.stdout).toBe(0);
    }
    const seen = { old: 0, new: 0 };
    let [before, after] = ['de', 'us'];
    for (let round = 0; round < times; round += 1) {
      for (const loss of losses[round % losses.length] ?? [])
        await rm(join(machine.cache, loss), { recursive: true, force: true });
      await setKeymap(after);
      const moment = Math.random() * longest;
      await killAfter(moment);
      const told = `round ${round}, killed after ${Math.round(moment)} ms`;
      const digest = await digestOfBoot();
      expect([known.get(before), known.get(after)], told).toContain(digest);
      seen[digest === known.get(after) ? 'new' : 'old'] += 1;
      if (round === times - 1) await copyFile(bootFile(), survivor());
      // Each other round goes on from what two killed ones left.
      if (round % 2 === 0 && digest === known.get(before)) continue;
      expect((await madeWith(after)).digest, told).toBe(known.get(after));
      expect(await readdir(machine.bootRoot), told).toEqual([`initrd.img-${system.kernelVersion}`]);
      expect(await remains(), told).toEqual([]);
      [before, after] = [after, before];
    }
    // Otherwise all were killed too early, or too late.
    expect(Math.min(seen.old, seen.new), JSON.stringify(seen)).toBeGreaterThan(0);
  }, 3_600_000);
});

testBoots(
  'what a killed hook leaves',
  [
    {
      name: 'boots',
      initrd: () =>
        Promise.resolve({ path: hostPath(system.kernel), initrd: hostPath(survivor()), unified: false }),
      disks: { first: 1024 },
      prepare: ext4On('"$(disk first)"'),
      commandLine: [`root=UUID=${rootUuid}`, 'rw'],
      fstype: 'ext4',
      stack: ['disk'],
    },
  ],
  bootSuite(),
);
