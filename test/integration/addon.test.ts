import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { buildDebian, DebianSystem } from '../helpers/debian-system.ts';
import { buildMkimgPackage } from '../helpers/mkimg-package.ts';
import { isRoot } from '../helpers/ordinary-user.ts';

const execute = promisify(execFile);

let scratch: TemporaryDirectory;
let system: DebianSystem;
let version: string;

/** What a distribution would bring: a UKI whose initrd has next to no modules, but the indexes of all. */
const vendorImage = '/usr/lib/vendor.efi';
const machine = 'MACHINE_ID=3e0484f3634a418b8e6a39e8828b03e3 BOOT_ROOT=/efi';
const packages = [
  ...['apt', 'bubblewrap', 'debian-archive-keyring', 'gpgv', 'kmod', 'linux-image-cloud-amd64', 'nodejs'],
  ...['systemd-boot-efi', 'systemd-sysv', 'udev', 'xz-utils', 'zstd'],
];

beforeAll(async () => {
  if (!isRoot) return;
  scratch = await temporaryDirectory('/var/tmp', 'test-addon-');
  system = new DebianSystem(await buildDebian(scratch.path, packages));
  const [found] = await readdir(system.path('usr/lib/modules'));
  version = found ?? '';
  const file = await buildMkimgPackage(scratch.path);
  await copyFile(file, system.path(`srv/${basename(file)}`));
  // As when an image is built: nobody wants initrds.
  await system.succeed(`INITRD=No apt-get -qq -y install --no-install-recommends /srv/${basename(file)}`);
  // A driver that does nothing but be there: a copy of another one, by another name.
  await system.succeed(`mkdir /efi
    printf 'root=LABEL=root\\n' >/etc/kernel/cmdline
    mkimg initrd --quiet --generic --kernel-version ${version} --kernel-initrd-modules=ext4 \\
      --format=uki --output=${vendorImage}
    mkdir /usr/lib/modules/${version}/updates
    cp "$(modinfo -k ${version} -n dummy)" /usr/lib/modules/${version}/updates/late_comer.ko.xz
    depmod ${version}`);
});

afterAll(() => (isRoot ? scratch[Symbol.asyncDispose]() : undefined));

const addonDirectory = (): string => `efi/EFI/Linux/3e0484f3634a418b8e6a39e8828b03e3-${version}.efi.extra.d`;

/** Files of the archive in the addon's section `.initrd`, as cpio(1) and objcopy(1) see them. */
async function addonFiles(name: string): Promise<string> {
  const archive = join(scratch.path, 'addon.cpio');
  await execute('objcopy', [
    '-O',
    'binary',
    '--dump-section',
    `.initrd=${archive}`,
    system.path(name),
    '/dev/null',
  ]);
  const { stdout } = await execute('sh', ['-c', 'cpio --quiet -t <"$1"', 'sh', archive], {
    maxBuffer: 2 ** 24,
  });
  return stdout;
}

async function section(name: string, file: string): Promise<string> {
  const target = join(scratch.path, 'section');
  await execute('objcopy', [
    '-O',
    'binary',
    '--dump-section',
    `${name}=${target}`,
    system.path(file),
    '/dev/null',
  ]);
  return await readFile(target, 'utf8');
}

const install = (): Promise<string> =>
  system.succeed(
    `${machine} KERNEL_INSTALL_MKIMG_OPTIONS=--generic kernel-install add ${version} ${vendorImage}`,
  );

describe.skipIf(!isRoot)('the addon of a unified kernel image (needs root)', () => {
  it('is not made where nobody wants one', async () => {
    await install();
    expect(await readdir(system.path('efi/EFI/Linux'))).toEqual([
      `3e0484f3634a418b8e6a39e8828b03e3-${version}.efi`,
    ]);
  });

  it('brings drivers and files of the machine, and nothing that would hide what the image has', async () => {
    await mkdir(system.path('etc/mkimg-addon'));
    await writeFile(system.path('etc/vconsole.conf'), 'KEYMAP=de-latin1\n');
    await writeFile(system.path('etc/crypttab'), 'data UUID=1 none\nroot UUID=2 none x-initrd.attach\n');
    await writeFile(system.path('etc/kernel/cmdline'), '# ours\nroot=LABEL=root quiet\n');
    await install();
    const addon = join(addonDirectory(), 'mkimg-local.addon.efi');
    const files = (await addonFiles(addon)).trim().split('\n');
    expect(files).toEqual(
      expect.arrayContaining([
        'etc/vconsole.conf',
        'etc/crypttab',
        expect.stringMatching(/\/virtio_scsi\.ko/),
      ]),
    );
    expect(
      files.filter((name) => /modules\.|vmlinuz|-ucode|\/ext4\.ko|kernel\/cmdline|late_comer/.test(name)),
    ).toEqual([]);
    expect(await section('.cmdline', addon)).toBe('root=LABEL=root quiet\0');
    expect(await section('.uname', addon)).toBe(version);
    const { stdout } = await execute('objdump', ['-h', system.path(addon)]);
    for (const name of ['.sdmagic', '.sbat', '.uname', '.cmdline', '.initrd']) expect(stdout).toContain(name);
    // Twice the same.
    const before = await readFile(system.path(addon));
    await install();
    expect((await readFile(system.path(addon))).equals(before)).toBe(true);
  });

  it('says which modules the image could not load from it', async () => {
    await writeFile(
      system.path('etc/mkimg-addon/mkimg.conf'),
      '[Content]\nKernelInitrdModules=default late_comer\n',
    );
    expect(await install()).toMatch(/does not know the modules late_comer\.ko\.xz/);
  });

  it('goes when it is not wanted any more, and with the kernel', async () => {
    await system.succeed('mv /etc/mkimg-addon /etc/not-wanted');
    await install();
    expect(await readdir(system.path(addonDirectory()))).toEqual([]);
    await system.succeed('mv /etc/not-wanted /etc/mkimg-addon');
    await install();
    expect(await readdir(system.path(addonDirectory()))).toEqual(['mkimg-local.addon.efi']);
    await system.succeed(`${machine} kernel-install remove ${version}`);
    expect(await readdir(system.path('efi/EFI/Linux'))).toEqual([]);
  });
});
