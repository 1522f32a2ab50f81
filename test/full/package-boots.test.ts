import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { parseResolvedPackages } from '../../src/distro/resolved.ts';
import { findFirmware } from '../../src/qemu/firmware.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import { startVm } from '../../src/qemu/vm.ts';
import { fetchPackages, poolPath } from '../../src/steps/apt/fetch.ts';
import { AptBench, buildRepository, debianSet } from '../helpers/apt-bench.ts';
import { bareMachine } from '../helpers/bare-machine.ts';
import { mkimg } from '../helpers/cli.ts';
import { buildMkimgPackage } from '../helpers/mkimg-package.ts';
import { vmTools } from '../helpers/tools.ts';

const guest = resolve(import.meta.dirname, '../guests/packaged');
const minutes = 60_000;

let directory: TemporaryDirectory;

beforeAll(async () => {
  directory = await temporaryDirectory('/var/tmp', 'mkimg-package-boots-');
});
afterAll(() => directory[Symbol.asyncDispose]());

/** A repository on disk that has one kernel, another one than the guest's. @returns its version, as uname has it */
async function kernelRepository(target: string): Promise<string> {
  const bench = new AptBench(hostPath(join(directory.path, 'bench')), 'root');
  const resolved = await bench.resolve(await debianSet('trixie'), { names: ['linux-image-cloud-amd64'] });
  const { packages } = parseResolvedPackages(await readFile(resolved, 'utf8'));
  const kernel = packages.find(({ name }) => /^linux-image-\d.*-cloud-/.test(name));
  if (kernel === undefined) throw new Error('there is no kernel for clouds');
  const context = await bench.context();
  await fetchPackages([kernel], context);
  await mkdir(target);
  await buildRepository(target, [poolPath(context.packagePool, kernel)], {});
  return kernel.name.replace('linux-image-', '');
}

/** Builds the guest with a package of mkimg and the repository. */
async function buildGuest(repository: string): Promise<HostPath> {
  const packages = join(directory.path, 'mkimg');
  await mkdir(packages);
  await buildMkimgPackage(packages);
  const { code, stderr } = await mkimg([
    ...['-C', guest, `--package-directory=${packages}`, `--extra-tree=${repository}:/srv/packages`],
    ...[`--output-directory=${directory.path}`, 'build'],
  ]);
  if (code !== 0) throw new Error(`the guest could not be built:\n${stderr}`);
  return hostPath(join(directory.path, 'packaged.raw'));
}

/** Runs the guest until it switches itself off; returns what its console showed. */
async function runGuest(disk: HostPath): Promise<string> {
  const tools = await vmTools();
  const host = { tools, events: silentEvents, scratch: directory.path };
  const request = bareMachine(disk, {
    ...{ cpus: 2, memory: 2 * 2 ** 30, console: 'socket', endOnRestart: false },
    firmware: await findFirmware(x86_64, tools, { secureBoot: false }),
    disks: [
      {
        id: 'system',
        path: disk,
        device: 'virtio-blk',
        discardWrites: false,
        options: 'cache=unsafe',
        bootIndex: 1,
      },
    ],
  });
  const log = join(directory.path, 'console.log');
  await using vm = await startVm(request, host, () => undefined);
  if (vm.console === undefined) throw new Error('the guest has no console');
  const logged = pipeline(vm.console, createWriteStream(log)).catch(() => undefined);
  const timer = setTimeout(() => void vm.stop(), 30 * minutes);
  await vm.ended;
  clearTimeout(timer);
  await logged;
  return await readFile(log, 'latin1');
}

describe('a system with the package of mkimg', () => {
  it(
    'starts a kernel that APT installed, and the one before when APT has removed it',
    async () => {
      const repository = join(directory.path, 'repository');
      const version = await kernelRepository(repository);
      const console = await runGuest(await buildGuest(repository));
      const said = [...console.matchAll(/says (stage .*?)\s*$/gm)].map(([, line]) => line ?? '');
      const tail = console.slice(-3000);
      expect(said, tail).toContain('stage 3 end');
      const kernels = said.flatMap((line) => /^stage \d kernel (.*)/.exec(line)?.[1] ?? []);
      expect(kernels, tail).toEqual([kernels[0], version, kernels[0]]);
      expect(said).toContain('stage 1 tools mkimg');
      // It was started from mkimg's initrd, and from one file of it.
      expect(said).toContain('stage 2 checked sound');
      const files = said.filter((line) => /^stage \d (?:initrd|entry)/.test(line));
      expect(files).toEqual([
        `stage 1 initrd initrd.img-${version}`,
        `stage 1 entry packaged-${version}.conf initrd.img-${version}`,
      ]);
    },
    40 * minutes,
  );
});
