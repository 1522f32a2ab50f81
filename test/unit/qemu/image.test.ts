import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { buildable } from '../../../src/config/buildable.ts';
import type { BuildableConfig } from '../../../src/config/project.ts';
import { loadProject } from '../../../src/config/project.ts';
import { findBootSource } from '../../../src/qemu/image.ts';
import { memoryProject } from '../../helpers/memory-files.ts';

let output: TemporaryDirectory;

beforeEach(async () => {
  output = await temporaryDirectory('/tmp', 'mkimg-image-');
});
afterEach(() => output[Symbol.asyncDispose]());

async function configOf(settings: Readonly<Record<string, string>>): Promise<BuildableConfig> {
  const text = Object.entries({ Output: 'image', ...settings })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
  const sections = `[Output]\n${text.replace(/^(Firmware|KernelCommandLine)=.*\n/gm, '')}`;
  const loaded = await loadProject(
    memoryProject(
      { 'mkimg.conf': sections, 'out/': '' },
      {
        ...(settings['Firmware'] && { Firmware: settings['Firmware'] }),
        ...(settings['KernelCommandLine'] && { KernelCommandLine: settings['KernelCommandLine'] }),
      },
    ),
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
  return { ...buildable(loaded.value.main.config), OutputDirectory: output.path };
}

async function built(...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(output.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, '');
  }
}

const origin = { kind: 'default' } as const;
const at = (name: string): string => join(output.path, name);

describe('findBootSource', () => {
  it('boots a disk by firmware', async () => {
    await built('image.raw');
    expect(await findBootSource(await configOf({ Format: 'disk' }), origin)).toEqual({
      firmware: 'uefi',
      disk: at('image.raw'),
      commandLine: [],
    });
    const secure = await configOf({ Format: 'disk', Firmware: 'uefi-secure-boot' });
    expect((await findBootSource(secure, origin)).firmware).toBe('uefi-secure-boot');
  });

  it('leaves a disk to the firmware that its machine brings along where there is no UEFI', async () => {
    await built('image.raw');
    const config = { ...(await configOf({ Format: 'disk' })), Architecture: 's390x' as const };
    expect(await findBootSource(config, origin)).toEqual({
      firmware: 'none',
      disk: at('image.raw'),
      commandLine: [],
    });
    expect((await findBootSource({ ...config, Firmware: 'uefi' }, origin)).firmware).toBe('uefi');
  });

  it('leaves a disk to the BIOS of a PC where that is asked for, and refuses it elsewhere', async () => {
    await built('image.raw', 'image.efi');
    const config = await configOf({ Format: 'disk', Firmware: 'bios' });
    expect(await findBootSource(config, origin)).toEqual({
      firmware: 'none',
      disk: at('image.raw'),
      commandLine: [],
    });
    await expect(findBootSource({ ...config, Architecture: 'arm64' }, origin)).rejects.toMatchObject({
      code: 'no-machine',
    });
    const uki = await configOf({ Format: 'uki', Firmware: 'bios' });
    await expect(findBootSource(uki, origin)).rejects.toMatchObject({ code: 'not-bootable' });
  });

  it('boots a unified kernel image by firmware', async () => {
    await built('image.efi');
    expect(await findBootSource(await configOf({ Format: 'uki' }), origin)).toEqual({
      firmware: 'uefi',
      kernel: { path: at('image.efi'), unified: true },
      commandLine: [],
    });
  });

  it('boots an archive with the kernel beside it', async () => {
    await built('image.cpio.zst', 'image.vmlinuz');
    const config = await configOf({ Format: 'cpio', KernelCommandLine: 'quiet' });
    expect(await findBootSource(config, origin)).toEqual({
      firmware: 'none',
      kernel: { path: at('image.vmlinuz'), initrd: at('image.cpio.zst'), unified: false },
      commandLine: ['quiet'],
    });
  });

  it('boots a directory with the kernel and the initrd beside it', async () => {
    await built('image/usr/lib/modules/6.1/vmlinuz', 'image.vmlinuz', 'image.initrd');
    expect(await findBootSource(await configOf({ Format: 'directory' }), origin)).toEqual({
      firmware: 'none',
      kernel: { path: at('image.vmlinuz'), initrd: at('image.initrd'), unified: false },
      rootDirectory: at('image'),
      commandLine: ['root=root', 'rootfstype=virtiofs', 'rw'],
    });
  });

  it('takes the newest kernel inside a directory otherwise', async () => {
    await built(
      'image/usr/lib/modules/6.9.1/vmlinuz',
      'image/usr/lib/modules/6.12.1/vmlinuz',
      'image/usr/lib/modules/7.0/modules.dep',
    );
    const { kernel } = await findBootSource(await configOf({ Format: 'directory' }), origin);
    expect(kernel?.path).toBe(at('image/usr/lib/modules/6.12.1/vmlinuz'));
  });

  it.each(['disk', 'uki', 'cpio', 'directory'])('says that a %s image has not been built', async (Format) => {
    await expect(findBootSource(await configOf({ Format }), origin)).rejects.toMatchObject({
      code: 'not-built',
      hint: expect.stringContaining('mkimg build') as string,
    });
  });

  it.each<readonly [string, Readonly<Record<string, string>>, readonly string[]]>([
    ['a tar archive', { Format: 'tar' }, ['image.tar.zst']],
    ['a compressed disk', { Format: 'disk', CompressOutput: 'zstd' }, ['image.raw.zst']],
    ['an archive without a kernel', { Format: 'cpio' }, ['image.cpio.zst']],
    ['a directory without a kernel', { Format: 'directory' }, ['image/etc/os-release']],
    ['a unified kernel image without firmware', { Format: 'uki', Firmware: 'linux' }, ['image.efi']],
    ['a disk without firmware and kernel', { Format: 'disk', Firmware: 'linux' }, ['image.raw']],
  ])('does not boot %s', async (_, settings, files) => {
    await built(...files);
    await expect(findBootSource(await configOf(settings), origin)).rejects.toMatchObject({
      code: 'not-bootable',
    });
  });
});
