import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { runningCommandLine, ukiFacts } from '../../../src/initrd/uki.ts';

/** A system below a directory that has a stub. */
async function systemWithStub(): Promise<TemporaryDirectory> {
  const directory = await temporaryDirectory('/tmp', 'test-uki-');
  const stubs = join(directory.path, 'usr/lib/systemd/boot/efi');
  await mkdir(stubs, { recursive: true });
  await writeFile(join(stubs, 'linuxx64.efi.stub'), '');
  return directory;
}

describe('the kernel command line of a unified kernel image', () => {
  it('is never that of the machine that makes it for another system', async () => {
    await using system = await systemWithStub();
    expect((await ukiFacts(system.path, 'x64')).commandLine).toBe('');
  });

  it('comes from the files of kernel-install', async () => {
    await using system = await systemWithStub();
    for (const [name, expected] of [
      ['usr/lib/kernel', 'root=LABEL=vendor'],
      ['etc/kernel', 'root=LABEL=own quiet'],
    ] as const) {
      await mkdir(join(system.path, name), { recursive: true });
      await writeFile(join(system.path, name, 'cmdline'), `# a comment\n${expected.replaceAll(' ', '\n')}\n`);
      expect((await ukiFacts(system.path, 'x64')).commandLine).toBe(expected);
    }
  });

  it('leaves out what the boot loader added to that of the running kernel', () => {
    const text = 'BOOT_IMAGE=/vmlinuz root=UUID=1  initrd=\\initrd rw\n';
    expect(runningCommandLine(text)).toBe('root=UUID=1 rw');
  });
});
