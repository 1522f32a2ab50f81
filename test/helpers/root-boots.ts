import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { Resources } from '../../src/base/disposal.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import type { BootResult } from '../../src/qemu/boot-test.ts';
import { runBootTest } from '../../src/qemu/boot-test.ts';
import { textCredential } from '../../src/qemu/credentials.ts';
import { findFirmware } from '../../src/qemu/firmware.ts';
import type { Machine } from '../../src/qemu/machines/machine.ts';
import { x86_64 } from '../../src/qemu/machines/x86-64.ts';
import { agentPort } from '../../src/qemu/guest/agent.ts';
import type { RequestedDisk, VmHost, VmRequest } from '../../src/qemu/vm.ts';
import { bareMachine } from './bare-machine.ts';
import type { BootFacts } from './boot-facts.ts';
import { hasFacts, readFacts, withFacts } from './boot-facts.ts';
import { until } from './cli.ts';
import type { ConsoleGuest } from './console-guest.ts';
import { startConsoleGuest } from './console-guest.ts';
import type { GuestImages, GuestKernel, GuestPartition, InitrdWay } from './guest-images.ts';
import { runJob, startJob } from './helper-guest.ts';
import { addToInitrd } from './initrd-addition.ts';

/** A root file system in a place of its own kind, and what the initrd needs to find it. */
export interface RootBoot {
  /** Disks in the order in which both guests get them: /dev/disk/by-id/virtio-NAME. Sizes in MiB. */
  readonly disks: Readonly<Record<string, number>>;
  /**
   * Puts the root in place; `copy_root DIRECTORY` copies it, `disk NAME` is the path of a disk, and `says NAME VALUE` gives a
   * value for `@NAME@` in the command line and the credentials. POSIX sh, -eux.
   */
  readonly prepare: string;
  readonly initrd: InitrdWay<GuestKernel | GuestPartition>;
  readonly commandLine: readonly string[];
  readonly credentials?: Readonly<Record<string, string>>;
  /**
   * Goes on after `prepare` in a guest that has the disks to itself and serves them at 10.0.9.1; says `serving` when it does.
   * The booted guest has a network card instead of disks.
   */
  readonly serve?: string;
  /** Runs in a guest with the address 10.0.9.1 at the other end of the cable, while the root is booted. */
  readonly visit?: { readonly disks: readonly string[]; readonly script: string };
  /** Disks that are gone when the root is booted. */
  readonly removed?: readonly string[];
  /** How the booted guest gets disks that it does not get as virtio disks. */
  readonly attached?: Readonly<Record<string, Partial<RequestedDisk>>>;
  /** Both guests have the same security chip. */
  readonly tpm?: boolean;
  /** Files that are added to the initrd, by path: each is what one of the disks holds. */
  readonly inInitrd?: Readonly<Record<string, string>>;
  /** More of the booted machine; disks are DIRECTORY/NAME.raw. */
  readonly machine?: (directory: HostPath) => Partial<VmRequest>;
  /** Run in the booted guest; its output is {@link BootFacts.more}. */
  readonly ask?: string;
}

/** What boots run with. */
export interface BootSite {
  readonly images: GuestImages;
  readonly host: VmHost;
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
export async function bootRoot(boot: RootBoot, site: BootSite): Promise<Booted> {
  await using prepared = await prepareRoot(boot, site);
  const { directory } = prepared;
  const result = await runBootTest(
    {
      machine: await withFacts(prepared.machine, directory, boot.ask),
      channel: 'unit',
      timeoutSeconds: bootSeconds,
      timeScale: 2,
      results: directory,
      signal: new AbortController().signal,
    },
    site.host,
  );
  const facts = result.verdict.outcome === 'passed' ? await readFacts(directory) : undefined;
  return { result, facts };
}

/**
 * The same for a boot that somebody has to help along.
 * @throws Error with the end of the console when it does not come up
 */
export async function bootWithHelp(
  boot: RootBoot,
  help: (guest: ConsoleGuest) => Promise<void>,
  site: BootSite,
): Promise<BootFacts> {
  await using prepared = await prepareRoot(boot, site);
  const { directory } = prepared;
  const machine = await withFacts({ ...prepared.machine, ports: [agentPort] }, directory, boot.ask);
  await using guest = await startConsoleGuest(machine, hostPath(join(directory, 'console.log')), site.host);
  await help(guest);
  const isUp = async (): Promise<boolean> => {
    if ((await guest.console()).includes('the root account is locked')) throw new Error('it has given up');
    return hasFacts(directory);
  };
  await until(isUp, bootSeconds * 1000).catch(async (cause: unknown) => {
    throw new Error(`the root did not come up:\n${(await guest.console()).slice(-4000)}`, { cause });
  });
  return await readFacts(directory);
}

/** A machine whose root is in place. It ends, with all that belongs to it, when it goes out of scope. */
export interface PreparedRoot extends AsyncDisposable {
  readonly directory: HostPath;
  readonly machine: VmRequest;
}

/** Prepares the disks in a helper guest, which goes on where it serves them. */
export async function prepareRoot(boot: RootBoot, { images, host }: BootSite): Promise<PreparedRoot> {
  await using stack = new Resources();
  const directory = stack.use(await temporaryDirectory('/var/tmp', 'mkimg-root-boot-')).path;
  const disks = await makeDisks(boot.disks, directory);
  const scene: Preparation = { boot, disks, directory };
  const [start, console] = await Promise.all([boot.initrd(images), prepare(scene, stack, { images, host })]);
  const { visit } = boot;
  if (visit !== undefined) {
    const own = disks.filter(({ id }) => visit.disks.includes(id));
    const script = `${preamble}${visit.script}`;
    stack.use(await startJob(jobOf({ ...scene, disks: own }, { script, images, isServer: true }), host));
  }
  const started =
    'esp' in start ? await fromPartition(start, host) : { kernel: await withAdditions(start, scene) };
  const machine = machineOf(scene, started, console);
  const owned = stack.move();
  return { directory, machine, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** Boot loaders put further archives behind the initrd in the same way. */
async function withAdditions(
  kernel: GuestKernel,
  { boot: { inInitrd }, directory }: Preparation,
): Promise<GuestKernel> {
  if (inInitrd === undefined) return kernel;
  const files = Object.entries(inInitrd).map(
    ([path, id]) => [path, hostPath(join(directory, `${id}.raw`))] as const,
  );
  return { ...kernel, initrd: await addToInitrd(kernel.initrd, files, directory) };
}

/** QEMU makes the disk of the directory as it is read. */
async function fromPartition({ esp }: GuestPartition, { tools }: VmHost): Promise<Partial<VmRequest>> {
  return {
    firmware: await findFirmware(x86_64, tools, { secureBoot: false }),
    extraArguments: [
      ...['-drive', 'if=none,id=esp,format=raw,readonly=on,file=fat:/esp'],
      ...['-device', 'virtio-blk-pci,drive=esp,bootindex=1'],
    ],
    extraMounts: [{ source: esp, target: '/esp', mode: 'ro' }],
  };
}

function machineOf(
  { boot, disks, directory }: Preparation,
  start: Partial<VmRequest>,
  console: string,
): VmRequest {
  const isGone = (id: string): boolean => boot.serve !== undefined || (boot.removed ?? []).includes(id);
  const credentials = Object.entries(boot.credentials ?? {});
  const network =
    boot.serve === undefined && boot.visit === undefined ? undefined : networkCard(directory, 'client');
  const own = boot.machine?.(directory) ?? {};
  return bareMachine(directory, {
    machine: plainProcessor,
    memory: 1024 * mebibyte,
    ...start,
    commandLine: [...quickly, ...boot.commandLine.map((word) => withValues(word, console))],
    credentials: credentials.map(([name, value]) => textCredential(name, withValues(value, console))),
    disks: disks.filter(({ id }) => !isGone(id)).map((disk) => ({ ...disk, ...boot.attached?.[disk.id] })),
    ...securityChip(boot, directory),
    ...own,
    extraArguments: [start, network, own].flatMap((part) => part?.extraArguments ?? []),
    extraMounts: [start, network, own].flatMap((part) => part?.extraMounts ?? []),
  });
}

interface Preparation {
  readonly boot: RootBoot;
  readonly disks: readonly RequestedDisk[];
  readonly directory: HostPath;
}

/** Returns what the helper guest's console has shown; a guest that serves the disks goes onto the stack. */
async function prepare(scene: Preparation, stack: Resources, { images, host }: BootSite): Promise<string> {
  const { boot, disks } = scene;
  if (Object.keys(boot.disks).length === 0) return '';
  const archive: RequestedDisk = {
    id: 'archive',
    path: images.rootArchive,
    device: 'virtio-blk',
    discardWrites: false,
    readOnly: true,
  };
  const script = [preamble, boot.prepare, boot.serve ?? ''].join('\n');
  const job = jobOf(
    { ...scene, disks: [...disks, archive] },
    { script, images, isServer: boot.serve !== undefined },
  );
  if (boot.serve === undefined) return runJob(job, host);
  const running = stack.use(await startJob(job, host));
  await running.said(/^serving/m);
  return running.console();
}

interface JobWish {
  readonly script: string;
  readonly images: GuestImages;
  readonly isServer: boolean;
}

function jobOf(
  { boot, disks, directory }: Preparation,
  { script, images, isServer }: JobWish,
): Parameters<typeof runJob>[0] {
  const machine = {
    ...securityChip(boot, directory),
    ...(isServer ? networkCard(directory, 'server') : {}),
  };
  return { helper: images.helper, script, disks, directory, machine };
}

function securityChip(boot: RootBoot, directory: HostPath): Partial<VmRequest> {
  return boot.tpm === true ? { tpm: true, tpmState: directory } : {};
}

function withValues(word: string, console: string): string {
  return word.replace(/@(\w+)@/g, (_, name: string) => {
    const value = new RegExp(`^says ${name} (\\S+)`, 'm').exec(console)?.[1];
    if (value === undefined) throw new Error(`the helper guest did not say ${name}`);
    return value;
  });
}

/** A cable between two guests. */
function networkCard(
  directory: HostPath,
  end: 'server' | 'client',
): Pick<VmRequest, 'extraArguments' | 'extraMounts'> {
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
