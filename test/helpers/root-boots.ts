import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { BootResult } from '../../src/qemu/boot-test.ts';
import { runBootTest } from '../../src/qemu/boot-test.ts';
import type { Machine } from '../../src/qemu/machines/machine.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import type { RequestedDisk, VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { bareMachine } from './bare-machine.ts';
import type { BootFacts } from './boot-facts.ts';
import { readFacts, withFacts } from './boot-facts.ts';
import type { GuestImages } from './guest-images.ts';
import { runJob, startJob } from './helper-guest.ts';

/** A root file system in a place of its own kind, and what the initrd needs to find it. */
export interface RootBoot {
  /** Disks in the order in which both guests get them: /dev/disk/by-id/virtio-NAME. Sizes in MiB. */
  readonly disks: Readonly<Record<string, number>>;
  /**
   * Puts the root in place; `copy_root DIRECTORY` copies it, `disk NAME` is the path of a disk, and `says NAME VALUE` gives a
   * value for `@NAME@` in the command line. POSIX sh, -eux.
   */
  readonly prepare: string;
  /** Flags of the build that makes the initrd. */
  readonly flags?: readonly string[];
  readonly commandLine: readonly string[];
  /**
   * Goes on after `prepare` in a guest that has the disks to itself and serves them at 10.0.9.1; says `serving` when it does.
   * The booted guest has a network card instead of disks.
   */
  readonly serve?: string;
  /** Disks that are gone when the root is booted. */
  readonly removed?: readonly string[];
  readonly machine?: Partial<VmRequest>;
  /** Run in the booted guest; its output is {@link BootFacts.more}. */
  readonly ask?: string;
}

/** What came of it. */
export interface Booted {
  readonly result: BootResult;
  /** undefined when the root did not come up. */
  readonly facts: BootFacts | undefined;
}

const mebibyte = 2 ** 20;
const bootSeconds = 900;

/** Leaves out what takes long in software emulation and has nothing to do with the root. */
const quickly = [
  ...['console=ttyS0', 'quiet', 'audit=0', 'mitigations=off'],
  ...['systemd.getty_auto=no', 'systemd.mask=getty-static.service'],
  'module_blacklist=ahci,button,evdev,i2c_i801,iTCO_wdt,lpc_ich,pcspkr,psmouse,serio_raw',
  // A busy machine takes longer to come to a device than systemd waits by default.
  'systemd.default_device_timeout_sec=600',
];

/** Has nothing that a driver could be loaded for. */
const plainProcessor: Machine = { ...x86_64, cpu: { ...x86_64.cpu, tcg: 'qemu64' } };

const preamble = `disk() { echo "/dev/disk/by-id/virtio-$1"; }
says() { echo; echo "says $1 $2"; }
copy_root() {
  tar -C "$1" -xpf "$(disk archive)"
  # What systems do at their first boot takes long.
  echo 6f8d0c5b1b1e4b4c9d6e0c5d3f1a7e21 >"$1/etc/machine-id"
  touch "$1/etc/.updated" "$1/var/.updated"
}
`;

/** Prepares the disks in a helper guest and boots what is on them. */
export async function bootRoot(boot: RootBoot, images: GuestImages, host: VmHost): Promise<Booted> {
  await using directory = await temporaryDirectory('/var/tmp', 'mkimg-root-boot-');
  const disks = await makeDisks(boot.disks, directory.path);
  const [kernel, prepared] = await Promise.all([
    images.kernelOfRoot(boot.flags ?? []),
    prepare({ boot, disks, directory: directory.path }, images, host),
  ]);
  await using _server = prepared.server;
  const machine = bareMachine(directory.path, {
    machine: plainProcessor,
    memory: 1024 * mebibyte,
    kernel,
    commandLine: [...quickly, ...boot.commandLine.map((word) => withValues(word, prepared.console))],
    disks: boot.serve === undefined ? disks.filter(({ id }) => !(boot.removed ?? []).includes(id)) : [],
    ...(boot.serve === undefined ? {} : networkCard(directory.path, 'client')),
    ...boot.machine,
  });
  const result = await runBootTest(
    {
      machine: await withFacts(machine, directory.path, boot.ask),
      channel: 'unit',
      timeoutSeconds: bootSeconds,
      consoleLog: hostPath(join(directory.path, 'console.log')),
      signal: new AbortController().signal,
    },
    host,
  );
  const facts = result.verdict.outcome === 'passed' ? await readFacts(directory.path) : undefined;
  return { result, facts };
}

interface Preparation {
  readonly boot: RootBoot;
  readonly disks: readonly RequestedDisk[];
  readonly directory: HostPath;
}

interface Prepared {
  readonly console: string;
  /** Still runs when it serves the disks. */
  readonly server: AsyncDisposable | undefined;
}

async function prepare(
  { boot, disks, directory }: Preparation,
  images: GuestImages,
  host: VmHost,
): Promise<Prepared> {
  const archive: RequestedDisk = {
    id: 'archive',
    path: images.rootArchive,
    device: 'virtio-blk',
    discardWrites: false,
    readOnly: true,
  };
  const job = {
    helper: images.helper,
    script: [preamble, boot.prepare, boot.serve ?? ''].join('\n'),
    disks: [...disks, archive],
    directory,
    machine:
      boot.serve === undefined ? boot.machine : { ...networkCard(directory, 'server'), ...boot.machine },
  };
  if (boot.serve === undefined) return { console: await runJob(job, host), server: undefined };
  const running = await startJob(job, host);
  try {
    await running.said('serving');
    return { console: await running.console(), server: running };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

function withValues(word: string, console: string): string {
  return word.replace(/@(\w+)@/g, (_, name: string) => {
    const value = new RegExp(`^says ${name} (\\S+)`, 'm').exec(console)?.[1];
    if (value === undefined) throw new Error(`the helper guest did not say ${name}`);
    return value;
  });
}

/** A cable between two guests. */
function networkCard(directory: HostPath, end: 'server' | 'client'): Partial<VmRequest> {
  const side = end === 'server' ? 'server=on' : 'server=off,reconnect-ms=1000';
  return {
    extraArguments: [
      ...['-netdev', `stream,id=cable,${side},addr.type=unix,addr.path=/cable/socket`],
      ...['-device', `virtio-net-pci,netdev=cable,romfile=,mac=52:54:00:00:09:0${end === 'server' ? 1 : 2}`],
    ],
    extraMounts: [{ source: directory, target: '/cable', mode: 'rw' }],
  };
}

async function makeDisks(
  sizes: Readonly<Record<string, number>>,
  directory: HostPath,
): Promise<RequestedDisk[]> {
  const disks: RequestedDisk[] = [];
  for (const [id, size] of Object.entries(sizes)) {
    const path = hostPath(join(directory, `${id}.raw`));
    await using file = await open(path, 'wx');
    await file.truncate(size * mebibyte);
    disks.push({ id, path, device: 'virtio-blk', discardWrites: false });
  }
  return disks;
}
