import { createHash } from 'node:crypto';
import {
  chmod,
  lchown,
  link,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath } from '../../src/base/brand.ts';
import type { Compression } from '../../src/plan/vocabulary.ts';
import { createSandbox } from '../../src/sandbox/sandbox.ts';
import { buildUki } from '../../src/steps/build-uki.ts';
import { installBootLoader } from '../../src/steps/install-boot-loader.ts';
import { packDirectory } from '../../src/steps/pack-directory.ts';
import { packTar } from '../../src/steps/pack-tar.ts';
import type { DiskBench } from '../helpers/disk-bench.ts';
import { diskBench, kernelVersion } from '../helpers/disk-bench.ts';
import { writeFiles } from '../helpers/project.ts';

const isRoot = process.getuid?.() === 0;
const epoch = 1_700_000_000;

let bench: DiskBench;
beforeEach(async () => {
  bench = await diskBench();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
});

function at(path: string): string {
  return join(bench.root, path);
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

describe.skipIf(!isRoot)('build-uki (needs root)', () => {
  const second = '6.2.0-test';
  async function build(name: string, versions: readonly string[]): Promise<string> {
    const directory = hostPath(join(bench.directory, 'initrds'));
    await writeFiles(
      directory,
      Object.fromEntries(versions.map((version) => [`${version}.initrd`, `for ${version}`])),
    );
    const target = hostPath(join(bench.directory, name));
    await buildUki.run(
      {
        tree: { root: bench.root },
        initrds: { directory, names: versions.map((version) => `${version}.initrd`), meta: null },
        commandLine: ['root=gpt-auto', 'quote="a b"'],
        architecture: 'x86-64',
        epoch,
      },
      target,
      await bench.newContext(),
    );
    return target;
  }

  it('makes one image for each kernel, twice the same', async () => {
    await mkdir(at(`usr/lib/modules/${second}`), { recursive: true });
    await writeFile(
      at(`usr/lib/modules/${second}/vmlinuz`),
      await readFile(at(`usr/lib/modules/${kernelVersion}/vmlinuz`)),
    );
    const first = await build('one', [kernelVersion, second]);
    const again = await build('two', [kernelVersion, second]);
    expect(await readdir(first)).toEqual([`${kernelVersion}.efi`, `${second}.efi`]);
    for (const name of await readdir(first)) {
      expect(await readFile(join(again, name))).toEqual(await readFile(join(first, name)));
    }
    const sections = JSON.parse(
      await bench.inspect('ukify', '--json=short', 'inspect', `/bench/one/${kernelVersion}.efi`),
    ) as Record<string, { size: number; sha256: string; text?: string }>;
    expect(sections['.cmdline']?.text).toBe('root=gpt-auto quote="a b"');
    expect(sections['.uname']?.text).toBe(kernelVersion);
    expect(sections['.osrel']?.text).toContain('ID=testos');
    expect(sections['.initrd']?.sha256).toBe(sha256(`for ${kernelVersion}`));
    expect(sections['.linux']?.sha256).toBe(
      sha256(await readFile(at(`usr/lib/modules/${kernelVersion}/vmlinuz`))),
    );
  });

  it('takes the stub of the tools when the image has none', async () => {
    await rm(at('usr/lib/systemd/boot/efi/linuxx64.efi.stub'));
    expect(await readdir(await build('one', [kernelVersion]))).toEqual([`${kernelVersion}.efi`]);
  });

  it('says which package has the stub when nobody has it', async () => {
    await rm(at('usr/lib/systemd/boot/efi/linuxx64.efi.stub'));
    const context = await bench.newContext();
    const empty = hostPath(join(bench.directory, 'empty'));
    const sandbox = createSandbox({
      mode: 'root',
      tools: { kind: 'tree', path: empty },
      events: context.events,
    });
    const inputs = {
      tree: { root: bench.root },
      initrds: { directory: empty, names: [], meta: null },
      commandLine: [],
      architecture: 'x86-64',
      epoch,
    } as const;
    const result = buildUki.run(inputs, hostPath(join(bench.directory, 'x')), { ...context, sandbox });
    await expect(result).rejects.toMatchObject({
      code: 'stub-missing',
      hint: expect.stringContaining('systemd-boot-efi') as string,
    });
  });

  it('wants a kernel for each initrd, and a system to boot', async () => {
    await expect(build('one', ['9.9'])).rejects.toMatchObject({ code: 'kernel-missing' });
    // A link out of the tree is no os-release: it would be the build machine's.
    await rm(at('usr/lib/os-release'));
    await symlink('/usr/share/os-release', at('usr/lib/os-release'));
    await expect(build('two', [kernelVersion])).rejects.toMatchObject({ code: 'not-a-system' });
  });
});

describe.skipIf(!isRoot)('install-boot-loader (needs root)', () => {
  async function install(): Promise<void> {
    await installBootLoader.run(
      { base: { root: bench.root }, architecture: 'x86-64' },
      bench.root,
      await bench.newContext(),
    );
  }

  it('does what bootctl does', async () => {
    await install();
    const reference = hostPath(join(bench.directory, 'reference'));
    await mkdir(join(reference, 'efi'), { recursive: true });
    await mkdir(join(reference, 'boot'));
    await bench.inspect('cp', '-a', '/bench/root/usr', '/bench/reference/usr');
    await bench.sandbox.run({
      tool: 'bootctl',
      argv: [
        'install',
        '--root=/bench/reference',
        '--install-source=image',
        '--all-architectures',
        '--no-variables',
        '--random-seed=no',
      ],
      env: { SYSTEMD_ESP_PATH: '/efi', SYSTEMD_XBOOTLDR_PATH: '/boot', SYSTEMD_RELAX_ESP_CHECKS: '1' },
      mounts: [{ source: bench.directory, target: '/bench', mode: 'rw' }],
      purpose: 'installing the boot loader',
    });
    const files = await bench.inspect('find', '/bench/reference/efi', '-type', 'f', '-printf', '%P\\n');
    expect(files.split('\n').filter((name) => name !== '')).toHaveLength(3);
    for (const name of files.split('\n').filter((line) => line !== '')) {
      expect(await readFile(at(join('efi', name)), 'latin1'), name).toBe(
        await readFile(join(reference, 'efi', name), 'latin1'),
      );
    }
    expect(await readFile(at('etc/kernel/entry-token'), 'utf8')).toBe('testos\n');
  });

  it('keeps what the user put there, and changes nothing when it runs again', async () => {
    await writeFiles(bench.root, { 'efi/loader/loader.conf': 'timeout 10\n' });
    await install();
    const { mtimeMs } = await stat(at('efi/EFI/BOOT/BOOTX64.EFI'));
    await install();
    expect(await readFile(at('efi/loader/loader.conf'), 'utf8')).toBe('timeout 10\n');
    expect((await stat(at('efi/EFI/BOOT/BOOTX64.EFI'))).mtimeMs).toBe(mtimeMs);
  });

  it('names the package when the image has no systemd-boot', async () => {
    await rm(at('usr/lib/systemd/boot/efi/systemd-bootx64.efi'));
    await expect(install()).rejects.toMatchObject({
      code: 'boot-loader-missing',
      hint: expect.stringContaining('systemd-boot-efi') as string,
    });
  });

  it('follows no link out of the tree', async () => {
    const outside = join(bench.directory, 'outside');
    await mkdir(outside);
    await mkdir(at('efi/EFI'), { recursive: true });
    await symlink(outside, at('efi/EFI/BOOT'));
    await install();
    expect(await readdir(outside)).toEqual([]);
  });
});

describe.skipIf(!isRoot)('pack-tar (needs root)', () => {
  async function pack(name: string, compression: Compression): Promise<void> {
    const target = hostPath(join(bench.directory, name));
    await packTar.run({ tree: { root: bench.root }, compression, epoch }, target, await bench.newContext());
  }

  it.each(['none', 'zstd', 'xz', 'gz'] as const)('packs twice the same (%s)', async (algorithm) => {
    const compression = algorithm === 'none' ? { algorithm } : { algorithm, level: 3 };
    await pack('one', compression);
    // Other access and change times, same content.
    await utimes(at('etc/hostname'), 5, (await stat(at('etc/hostname'))).mtime);
    await pack('two', compression);
    expect(await readFile(join(bench.directory, 'two'))).toEqual(
      await readFile(join(bench.directory, 'one')),
    );
  });

  it('keeps modes, owners by number, links and attributes; times not after the epoch', async () => {
    await chmod(at('etc/hostname'), 0o4751);
    await lchown(at('etc/hostname'), 7, 8);
    await link(at('etc/hostname'), at('etc/second-name'));
    await symlink('/nowhere', at('etc/link'));
    await chmod(at('etc/hostname'), 0o4751);
    await utimes(at('boot/config-6.1.0-test'), 1000, 1000);
    await pack('one.tar', { algorithm: 'none' });
    const list = await bench.inspect(
      'tar',
      '--list',
      '--verbose',
      '--numeric-owner',
      '--file=/bench/one.tar',
    );
    expect(list).toMatch(/^-rwsr-x--x 7\/8 +5 2023-11-14 22:13 \.\/etc\/hostname$/m);
    expect(list).toMatch(/second-name link to \.\/etc\/hostname$/m);
    expect(list).toMatch(/link -> \/nowhere$/m);
    expect(list).toMatch(/ 1970-01-01 00:16 \.\/boot\/config-6\.1\.0-test$/m);
    expect(list).not.toMatch(/ 20(2[4-9]|[3-9]\d)-/);
  });
});

describe.skipIf(!isRoot)('pack-directory (needs root)', () => {
  const copied = async (jobs: number): Promise<HostPath> => {
    const copy = hostPath(join(bench.directory, 'copy'));
    await mkdir(copy);
    const context = await bench.newContext();
    await packDirectory.run({ tree: { root: bench.root }, epoch }, copy, { ...context, jobs });
    return copy;
  };
  const list = async (root: string): Promise<readonly string[]> => {
    const files = ['!', '-type', 'd', '-printf', '%P %y %m %U:%G %n %l %s %T@\\n'];
    const directories = ['-type', 'd', '-printf', '%P %y %m %U:%G %T@\\n'];
    return (await bench.inspect('find', root, ...files, '-o', ...directories)).split('\n').sort();
  };

  it('copies everything and sets times after the epoch to it', async () => {
    await chmod(at('etc/hostname'), 0o4751);
    await link(at('etc/hostname'), at('etc/second-name'));
    await symlink('/nowhere', at('etc/link'));
    await utimes(at('boot/config-6.1.0-test'), 1000, 1000);
    const copy = await copied(1);
    const withoutTimes = async (root: string): Promise<readonly string[]> =>
      (await list(root)).map((line) => line.replace(/ [\d.]+$/, ''));
    expect(await withoutTimes('/bench/copy')).toEqual(await withoutTimes('/bench/root'));
    expect((await stat(join(copy, 'etc'))).mtimeMs).toBe(epoch * 1000);
    expect((await stat(join(copy, 'boot/config-6.1.0-test'))).mtimeMs).toBe(1_000_000);
    expect((await bench.inspect('find', '/bench/copy', '-newermt', `@${epoch}`)).trim()).toBe('');
  });

  it.each([
    ['in two halves', 'usr/share/second'],
    ['at once, where a file has names in both', 'usr/second'],
  ])('gives the same tree with two processors, %s', async (_how, second) => {
    await mkdir(at('usr/share/doc'), { recursive: true });
    await chmod(at('usr/share'), 0o750);
    await writeFile(at('usr/share/doc/first'), 'text');
    await link(at('usr/share/doc/first'), at(second));
    await writeFile(at('usr/other'), 'text');
    await bench.inspect('find', '/bench/root', '-exec', 'touch', '-h', '-d@1000', '{}', '+');
    for (const [index, path] of ['usr/other', 'usr/share/doc', 'usr/share', 'usr', ''].entries())
      await utimes(at(path), 1000 + index, 2000 + index);
    const copy = await copied(2);
    const lines = await list('/bench/copy');
    expect(lines).toEqual(await list('/bench/root'));
    expect(lines).toContain('usr/share d 750 0:0 2002.0000000000');
    expect((await stat(join(copy, second))).ino).toBe((await stat(join(copy, 'usr/share/doc/first'))).ino);
  });
});
