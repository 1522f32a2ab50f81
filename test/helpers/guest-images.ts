import { join, resolve } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { BootSource } from '../../src/qemu/image.ts';
import { mkimg } from './cli.ts';

const guests = resolve(import.meta.dirname, '../guests');

/** A kernel and what it starts, for QEMU to load. */
export type GuestKernel = Required<NonNullable<BootSource['kernel']>>;

/** The guests that tests of initrds are made of, as mkimg builds them from test/guests. */
export interface GuestImages {
  /** Runs jobs; see test/guests/helper. */
  readonly helper: GuestKernel;
  /** The tree of test/guests/root as a tar archive, which is also a valid disk. */
  readonly rootArchive: HostPath;
  /** The kernel of that tree with its default initrd. @param flags more for the build, such as --initrd-profile=lvm */
  kernelOfRoot(flags: readonly string[]): Promise<GuestKernel>;
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
  const build = async (guest: string, flags: readonly string[]): Promise<void> => {
    const argv = ['-C', join(guests, guest), '--output-directory', directory, ...flags, 'build'];
    const { code, stderr } = await mkimg(argv);
    if (code !== 0) throw new Error(`mkimg ${argv.join(' ')} failed:\n${stderr}`);
  };
  const file = (name: string): HostPath => hostPath(join(directory, name));
  await build('helper', []);
  await build('root', ['--format=tar', '--compress-output=none', `--remove-files=${leftOut.join(',')}`]);
  const kernels = new Map<string, Promise<GuestKernel>>();
  const buildKernel = async (flags: readonly string[]): Promise<GuestKernel> => {
    const name = `root-${kernels.size}`;
    await build('root', [`--output=${name}`, ...flags]);
    return { path: file(`${name}.vmlinuz`), initrd: file(`${name}.initrd`), unified: false };
  };
  return {
    helper: { path: file('helper.vmlinuz'), initrd: file('helper.cpio.zst'), unified: false },
    rootArchive: file('root.tar'),
    kernelOfRoot: (flags) => {
      const key = flags.join(' ');
      const kernel = kernels.get(key) ?? buildKernel(flags);
      kernels.set(key, kernel);
      return kernel;
    },
  };
}
