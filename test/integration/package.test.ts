import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { sha256 } from '../../src/base/canonical.ts';
import type { TemporaryDirectory } from '../../src/base/temporary.ts';
import { temporaryDirectory } from '../../src/base/temporary.ts';
import { buildPackage } from '../helpers/apt-bench.ts';
import { buildDebian, DebianSystem, mirrorPackages } from '../helpers/debian-system.ts';
import { buildMkimgPackage } from '../helpers/mkimg-package.ts';
import { isRoot } from '../helpers/ordinary-user.ts';

const execute = promisify(execFile);

let scratch: TemporaryDirectory;
/** With what mkimg depends on, and without any generator of initrds. */
let bare: DebianSystem;
let packageFile: string;

/** What mkimg's package depends on, and a system around it. */
const packages = [
  ...['apt', 'bubblewrap', 'debian-archive-keyring', 'gpgv', 'kmod', 'linux-base', 'nodejs', 'systemd-sysv'],
  ...['udev', 'xz-utils', 'zstd'],
];

/** A kernel that calls hooks as Debian's do; nothing is in it that could be started. */
function kernelPackage(directory: string, version: string): Promise<HostPath> {
  const hooks = (script: string, action: string): string => `#!/bin/sh
set -e
[ "$1" != ${action} ] || DEB_MAINT_PARAMS="$*" run-parts --report --exit-on-error --arg=${version} --arg=/boot/vmlinuz-${version} /etc/kernel/${script}.d
`;
  return buildPackage(
    directory,
    {
      Package: `linux-image-${version}`,
      Depends: 'initramfs-tools (>= 0.120) | linux-initramfs-tool',
    },
    {
      'DEBIAN/postinst': hooks('postinst', 'configure'),
      'DEBIAN/postrm': hooks('postrm', 'remove'),
      [`boot/vmlinuz-${version}`]: 'a kernel',
      ...Object.fromEntries(
        ['modules.dep', 'modules.alias', 'modules.builtin', 'modules.order', 'modules.softdep'].map(
          (name) => [`usr/lib/modules/${version}/${name}`, ''],
        ),
      ),
    },
  );
}

beforeAll(async () => {
  if (!isRoot) return;
  scratch = await temporaryDirectory('/var/tmp', 'test-package-');
  const directory = scratch.path;
  bare = new DebianSystem(await buildDebian(directory, packages));
  const made = join(directory, 'made');
  await mkdir(made);
  packageFile = await buildMkimgPackage(made);
  const more = [
    await kernelPackage(made, '6.1-test'),
    await kernelPackage(made, '6.2-test'),
    await buildPackage(made, { Package: 'other' }, { 'usr/lib/other/file': 'x' }),
    await buildPackage(
      made,
      { Package: 'asking' },
      { 'DEBIAN/postinst': '#!/bin/sh\nupdate-initramfs -u\n' },
    ),
  ];
  const names = ['initramfs-tools', 'dracut'];
  await mirrorPackages(bare.path('srv/packages'), names, { system: bare.root, scratch: directory, more });
  await copyFile(packageFile, bare.path(`srv/${basename(packageFile)}`));
  const newer = await buildMkimgPackage(made, '0.9.0');
  await copyFile(newer, bare.path(`srv/${basename(newer)}`));
  await writeFile(
    bare.path('etc/apt/sources.list.d/test.list'),
    'deb [trusted=yes] file:/srv/packages test main\n',
  );
  await bare.succeed(`rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*.sources; apt-get -qq update`);
});

afterAll(() => (isRoot ? scratch[Symbol.asyncDispose]() : undefined));

const machineId = '3e0484f3634a418b8e6a39e8828b03e3';
const install = `apt-get -qq -y install --no-install-recommends`;

async function digest(system: DebianSystem, name: string): Promise<string> {
  return sha256(await readFile(system.path(name)));
}

/** Whether mkimg made the initrd of a kernel, as far as mkimg knows. */
async function isOurs(system: DebianSystem, version: string): Promise<boolean> {
  const text = await system.succeed(`mkimg inspect /boot/initrd.img-${version}`);
  return /^\s+base\s+\d+\s+zstd/m.test(text);
}

describe('npm run package', () => {
  it.skipIf(!isRoot)('gives the same bytes at any time, in any place, with any umask', async () => {
    const other = join(scratch.path, 'other');
    await mkdir(other);
    const again = await buildMkimgPackage(other, undefined, { TZ: 'Asia/Tokyo', LC_ALL: 'C' });
    expect(sha256(await readFile(again))).toBe(sha256(await readFile(packageFile)));
  });

  it.skipIf(!isRoot)(
    'holds no program for one kind of processor, and nothing that could be written to',
    async () => {
      const { stdout } = await execute('dpkg-deb', ['--contents', packageFile]);
      const lines = stdout.trim().split('\n');
      expect(lines.filter((line) => /\.node$|\.so\b/.test(line))).toEqual([]);
      expect(lines.filter((line) => !/^(?:[d-]rw[x-]r-[x-]r-[x-]|l\S+) root\/root /.test(line))).toEqual([]);
      expect(await readdir(join(bare.root, 'srv'))).toContain(basename(packageFile));
    },
  );
});

describe.skipIf(!isRoot)('the package, where initramfs-tools was before (needs root)', () => {
  let system: DebianSystem;
  let before: string;

  beforeAll(async () => {
    system = await bare.copy(join(scratch.path, 'initramfs-tools'));
    await system.succeed(`${install} initramfs-tools linux-image-6.1-test linux-image-6.2-test`);
    before = await digest(system, 'boot/initrd.img-6.2-test');
  });

  it('lets the old initrds stand when its installation is cut off, and goes on when asked to', async () => {
    const interrupted = await system.run(`
      ${install} /srv/mkimg_0.1.0_all.deb & apt=$!
      until [ -e /var/cache/mkimg/store ]; do sleep 0.1; done
      sleep 1; kill -9 $apt $(pidof dpkg) $(pidof node) $(pidof /usr/bin/node) || :
      wait $apt`);
    expect(interrupted.code, interrupted.output).not.toBe(0);
    expect(await digest(system, 'boot/initrd.img-6.2-test')).toBe(before);
    await system.succeed('dpkg --configure -a');
    expect(await isOurs(system, '6.1-test')).toBe(true);
    expect(await isOurs(system, '6.2-test')).toBe(true);
    expect(await system.succeed("dpkg-query -W -f '${db:Status-Status}' mkimg")).toBe('installed');
    expect((await readdir(system.path('boot'))).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('does nothing when nothing of an initrd changed, and makes it again when something did', async () => {
    const { mtimeMs } = await stat(system.path('boot/initrd.img-6.2-test'));
    await system.succeed(`${install} other asking`);
    expect((await stat(system.path('boot/initrd.img-6.2-test'))).mtimeMs).toBe(mtimeMs);
    await writeFile(system.path('etc/vconsole.conf'), 'KEYMAP=de-latin1\n');
    expect(await system.succeed('apt-get -qq -y install --reinstall asking')).toContain('deferring update');
    expect((await readFile(system.path('boot/initrd.img-6.1-test'))).includes('KEYMAP=de-latin1')).toBe(true);
  });

  it('removes the initrd with the kernel, and tells boot loaders of new ones', async () => {
    await mkdir(system.path('etc/initramfs/post-update.d'), { recursive: true });
    await writeFile(
      system.path('etc/initramfs/post-update.d/test'),
      '#!/bin/sh\necho "$@" >>/var/log/post-update\n',
      { mode: 0o755 },
    );
    await system.succeed('apt-get -qq -y remove linux-image-6.1-test');
    expect(existsSync(system.path('boot/initrd.img-6.1-test'))).toBe(false);
    expect(await isOurs(system, '6.2-test')).toBe(true);
    await system.succeed(`${install} linux-image-6.1-test`);
    expect(await isOurs(system, '6.1-test')).toBe(true);
    expect(await readFile(system.path('var/log/post-update'), 'utf8')).toBe(
      '6.1-test /boot/initrd.img-6.1-test\n',
    );
  });

  it('can be upgraded, and reinstalled', async () => {
    const ours = await digest(system, 'boot/initrd.img-6.2-test');
    for (const file of ['/srv/mkimg_0.9.0_all.deb', '--reinstall /srv/mkimg_0.9.0_all.deb']) {
      await system.succeed(`${install} ${file}`);
      expect(await digest(system, 'boot/initrd.img-6.2-test')).toBe(ours);
    }
    expect(await system.succeed('mkimg --version')).toContain('0.9.0');
  });

  it('gives the system back, with nothing left of it but configuration', async () => {
    const output = await system.succeed('apt-get -qq -y remove mkimg');
    expect(output).toContain('the initrds in /boot stay');
    await system.succeed('update-initramfs -u -k all');
    for (const version of ['6.1-test', '6.2-test'])
      expect(await system.succeed(`lsinitramfs /boot/initrd.img-${version}`)).toContain('scripts/functions');
    const left = await system.succeed('find / -xdev -path /srv -prune -o -name "*mkimg*" -print');
    expect(left.trim().split('\n').sort()).toEqual([
      ...['/etc/kernel/postinst.d/mkimg', '/etc/kernel/postrm.d/mkimg', '/var/lib/dpkg/info/mkimg.list'],
      '/var/lib/dpkg/info/mkimg.postrm',
    ]);
    expect(await system.succeed('dpkg-divert --list')).not.toContain('mkimg');
    // Hooks that are left do nothing.
    await system.succeed('sh -eu /etc/kernel/postinst.d/mkimg 6.2-test /boot/vmlinuz-6.2-test');
    await system.succeed('apt-get -qq -y purge mkimg');
    expect(await system.succeed('find / -xdev -path /srv -prune -o -name "*mkimg*" -print')).toBe('');
  });
});

describe.skipIf(!isRoot)('the package, where no generator of initrds was before (needs root)', () => {
  it('makes initrds of kernels that come later, without any source of packages', async () => {
    const system = await bare.copy(join(scratch.path, 'nothing'));
    await system.succeed(`rm /etc/apt/sources.list.d/test.list; apt-get -qq update
      ${install} /srv/mkimg_0.1.0_all.deb`);
    expect(await readdir(system.path('boot'))).toEqual([]);
    await system.succeed(`dpkg -i /srv/packages/linux-image-6.1-test_1_all.deb`);
    expect(await isOurs(system, '6.1-test')).toBe(true);
    // Debian's own plugin stages that file; parts of it must not come along.
    await system.succeed(`mkdir /efi; echo layout=bls >/etc/kernel/install.conf
      MACHINE_ID=${machineId} BOOT_ROOT=/efi kernel-install add 6.1-test /boot/vmlinuz-6.1-test`);
    expect(await readdir(system.path(`efi/${machineId}/6.1-test`))).toEqual(['initrd.img-6.1-test', 'linux']);
    expect(await system.succeed('update-initramfs --version')).toBe('mkimg 0.1.0\n');
    expect((await system.run('update-initramfs -u -k ../6.1')).code).toBe(2);
    await system.succeed('update-initramfs -dk 6.1-test');
    expect(existsSync(system.path('boot/initrd.img-6.1-test'))).toBe(false);
    await system.succeed('update-initramfs -c -k all');
    expect(await isOurs(system, '6.1-test')).toBe(true);
  });
});

describe.skipIf(!isRoot)('the package, where dracut was before (needs root)', () => {
  it('takes the place of it, and says what of it is still there', async () => {
    const system = await bare.copy(join(scratch.path, 'dracut'));
    await system.succeed(`${install} dracut linux-image-6.1-test`);
    const before = await digest(system, 'boot/initrd.img-6.1-test');
    const output = await system.succeed(`${install} /srv/mkimg_0.1.0_all.deb`);
    expect(output).toContain('apt-get purge dracut dracut-core');
    expect(await digest(system, 'boot/initrd.img-6.1-test')).not.toBe(before);
    expect(await isOurs(system, '6.1-test')).toBe(true);
    await system.succeed(`${install} dracut`);
    expect(await system.succeed('lsinitrd /boot/initrd.img-6.1-test')).toContain('dracut');
  });
});
