import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import { silentEvents } from '../../src/base/events.ts';
import type { BootSource } from '../../src/qemu/image.ts';
import { runProgram } from '../../src/sandbox/process.ts';
import { mkimg } from './cli.ts';

const guests = resolve(import.meta.dirname, '../guests');

/** A kernel and what it starts, for QEMU to load. */
export type GuestKernel = Required<NonNullable<BootSource['kernel']>>;

/** What firmware starts: a directory that is a boot partition. */
export interface GuestPartition {
  readonly esp: HostPath;
}

/** An initrd that `mkimg initrd` makes. */
export interface SystemInitrd {
  /** Such as --generic and --profile=lvm. */
  readonly flags: readonly string[];
  /** Files that the system has beside those of its packages, by path. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A unified kernel image with an addon. */
export interface VendorImage {
  /** Of KernelInitrdModules=: all that the image itself has. */
  readonly modules: string;
  /** Files that the system has beside those of its packages, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** The guests that tests of initrds are made of, as mkimg builds them from test/guests. */
export interface GuestImages {
  /** Runs jobs; see test/guests/helper. */
  readonly helper: GuestKernel;
  /** The tree of test/guests/root as a tar archive, which is also a valid disk. */
  readonly rootArchive: HostPath;
  /** The kernel of that tree with its default initrd. @param flags more for the build, such as --initrd-profile=lvm */
  kernelOfRoot(flags: readonly string[]): Promise<GuestKernel>;
  /** The kernel of that tree with the initrd that `mkimg initrd` makes for a system that consists of it. */
  kernelOfSystem(initrd: SystemInitrd): Promise<GuestKernel>;
  /** A unified kernel image that the system got as it is, and the addon that `mkimg initrd addon` makes for it there. */
  vendorImage(addon: VendorImage): Promise<GuestPartition>;
}

/** A way to an initrd. */
export type InitrdWay<K extends GuestKernel | GuestPartition = GuestKernel> = (
  images: GuestImages,
) => Promise<K>;

/** The default initrd of an image. @param flags of the build, such as --initrd-profile=lvm */
export function ofImage(...flags: readonly string[]): InitrdWay {
  return (images) => images.kernelOfRoot(flags);
}

/** What `mkimg initrd` makes. @param flags such as --generic @param files of the machine, by path */
export function ofSystem(flags: readonly string[], files: SystemInitrd['files'] = {}): InitrdWay {
  return (images) => images.kernelOfSystem({ flags, files });
}

/** The vendor's image, and what `mkimg initrd addon` adds to it. */
export function ofVendor(image: VendorImage): InitrdWay<GuestPartition> {
  return (images) => images.vendorImage(image);
}

/** What emulated machines have no device for, or none that matters: loading it takes most of a boot. */
const leftOut = [
  ...['arch/x86/kvm', 'drivers/bluetooth', 'drivers/edac', 'drivers/gpu', 'drivers/hid', 'drivers/i2c'],
  ...['drivers/iio', 'drivers/infiniband', 'drivers/input', 'drivers/media', 'drivers/mfd', 'drivers/mtd'],
  ...['drivers/net/ethernet', 'drivers/net/wireless', 'drivers/platform', 'drivers/rtc', 'drivers/staging'],
  ...['drivers/usb', 'drivers/watchdog', 'net/bluetooth', 'net/mac80211', 'net/wireless', 'sound'],
].map((path) => `/usr/lib/modules/*/kernel/${path}`);

/** Builds the guests into a directory. @throws Error with what mkimg wrote, when it fails */
export async function buildGuests(directory: HostPath): Promise<GuestImages> {
  const build = (guest: string, flags: readonly string[]): Promise<void> =>
    run(['-C', join(guests, guest), '--output-directory', directory, ...flags, 'build']);
  const file = (name: string): HostPath => hostPath(join(directory, name));
  let built: Promise<void> | undefined;
  const system = async (): Promise<HostPath> => {
    await (built ??= build('root', ['--output=system', ...systemFlags]));
    return file('system');
  };
  await build('helper', []);
  await build('root', ['--format=tar', '--compress-output=none', `--remove-files=${leftOut.join(',')}`]);
  return {
    helper: { path: file('helper.vmlinuz'), initrd: file('helper.cpio.zst'), unified: false },
    rootArchive: file('root.tar'),
    kernelOfRoot: oneAfterTheOther(async (flags: readonly string[], number) => {
      const name = `root-${number}`;
      await build('root', [`--output=${name}`, ...flags]);
      return { path: file(`${name}.vmlinuz`), initrd: file(`${name}.initrd`), unified: false };
    }),
    kernelOfSystem: oneAfterTheOther(async (initrd: SystemInitrd, number) =>
      systemKernel(initrd, { system: await system(), directory: file(`system-${number}`) }),
    ),
    vendorImage: oneAfterTheOther(async (image: VendorImage, number) =>
      vendorImage(image, { system: await system(), directory: file(`vendor-${number}`) }),
    ),
  };
}

/** Packages and their database stay, as on a system in use. */
const systemFlags = [
  '--clean-package-metadata=no',
  '--repositories=non-free-firmware',
  '--package=amd64-microcode',
  '--package=systemd-boot-efi',
];

/** What was made for one wish is taken for all that are the same; different ones are not made at once. */
function oneAfterTheOther<W, K>(make: (wish: W, number: number) => Promise<K>): (wish: W) => Promise<K> {
  const made = new Map<string, Promise<K>>();
  let last: Promise<unknown> = Promise.resolve();
  return (wish) => {
    const key = JSON.stringify(wish);
    const known = made.get(key);
    if (known !== undefined) return known;
    const number = made.size;
    const kernel = last.then(() => make(wish, number));
    last = kernel.catch(() => undefined);
    made.set(key, kernel);
    return kernel;
  };
}

interface SystemPlaces {
  /** The tree that was built. */
  readonly system: HostPath;
  /** For the initrd, and a copy of the tree while that is made. */
  readonly directory: HostPath;
}

async function systemKernel({ flags, files = {} }: SystemInitrd, places: SystemPlaces): Promise<GuestKernel> {
  const { root, version } = await systemWith(files, places);
  const initrd = hostPath(join(places.directory, 'initrd'));
  await run(['initrd', `--root=${root}`, `--kernel-version=${version}`, `--output=${initrd}`, ...flags]);
  await rm(root, { recursive: true });
  return { path: hostPath(`${places.system}.vmlinuz`), initrd, unified: false };
}

async function vendorImage({ modules, files }: VendorImage, places: SystemPlaces): Promise<GuestPartition> {
  const { root, version } = await systemWith(files, places);
  const esp = hostPath(join(places.directory, 'esp'));
  const image = join(esp, 'EFI/BOOT/BOOTX64.EFI');
  await mkdir(dirname(image), { recursive: true });
  // The vendor knows nothing of the machine.
  await run([
    ...['initrd', `--root=${places.system}`, `--kernel-version=${version}`, '--generic', '--format=uki'],
    ...[`--kernel-initrd-modules=${modules}`, `--output=${image}`],
  ]);
  // systemd-stub(7) looks for addons beside the image; kernel-install(8) stages them beside `uki.efi`.
  const staging = join(places.directory, 'staging');
  const call = { LAYOUT: 'uki', IMAGE_TYPE: 'uki', STAGING_AREA: staging, BOOT_ROOT: esp };
  const env = Object.fromEntries(
    Object.entries(call).map(([name, value]) => [`KERNEL_INSTALL_${name}`, value]),
  );
  await run(['initrd', 'addon', `--root=${root}`, '--generic', '--', 'add', version, esp, image], env);
  await rename(join(staging, 'uki.efi.extra.d'), `${image}.extra.d`);
  await rm(root, { recursive: true });
  return { esp };
}

/** A copy of the system with further files. */
async function systemWith(
  files: Readonly<Record<string, string>>,
  { system, directory }: SystemPlaces,
): Promise<{ readonly root: string; readonly version: string }> {
  const root = join(directory, 'root');
  await mkdir(directory);
  // Links: the copy costs no space, and no file of the first is written to.
  await copyLinked(system, root);
  for (const [path, text] of Object.entries(files)) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
    await writeFile(target, text, { mode: 0o600 });
  }
  const [version = ''] = await readdir(join(root, 'usr/lib/modules'));
  return { root, version };
}

async function copyLinked(from: string, to: string): Promise<void> {
  const argv: [string, ...string[]] = ['cp', '-al', '--', from, to];
  const env = { PATH: process.env['PATH'] ?? '' };
  const { exitCode, tail } = await runProgram({ argv, env, events: silentEvents });
  if (exitCode !== 0) throw new Error(tail.join('\n'));
}

async function run(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const { code, stderr } = await mkimg(argv, { env });
  if (code !== 0) throw new Error(`mkimg ${argv.join(' ')} failed:\n${stderr}`);
}
