import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import {
  holdsSecrets,
  hostFileEntries,
  hostFilesContent,
  opensVolumes,
  readHostFiles,
} from '../../../src/initrd/host-files.ts';

async function system(files: Readonly<Record<string, string>>): Promise<TemporaryDirectory> {
  const root = await temporaryDirectory('/tmp', 'test-host-files-');
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root.path, path, '..'), { recursive: true });
    await writeFile(join(root.path, path), text);
  }
  return root;
}

describe('files of the host', () => {
  it('are those of console, crypttab and command line; keys are closed to others', async () => {
    await using root = await system({
      'etc/vconsole.conf': 'KEYMAP=de\n',
      'etc/kernel/cmdline': 'quiet',
      'etc/crypttab': 'root UUID=1 none x-initrd.attach\nx UUID=2 /key x-initrd.attach\n',
      'etc/cryptsetup-keys.d/root.key': 'secret',
      'etc/shadow': 'no',
    });
    const host = await readHostFiles(root.path, []);
    expect(host.missing).toEqual(['/key']);
    expect(holdsSecrets({ content: hostFilesContent(host) })).toBe(true);
    const modes = hostFileEntries(host, 1).map(({ path, mode }) => [
      path.toString(),
      (mode & 0o777).toString(8),
    ]);
    expect(modes).toEqual([
      ['etc', '755'],
      ['etc/cryptsetup-keys.d', '755'],
      ['etc/cryptsetup-keys.d/root.key', '600'],
      ['etc/crypttab', '644'],
      ['etc/kernel', '755'],
      ['etc/kernel/cmdline', '644'],
      ['etc/vconsole.conf', '644'],
    ]);
  });

  it('hold no secret where there is none', async () => {
    await using root = await system({ 'etc/vconsole.conf': '' });
    const host = await readHostFiles(root.path, []);
    expect(holdsSecrets({ content: hostFilesContent(host) })).toBe(false);
  });

  it.each([
    [true, { 'etc/crypttab': 'root UUID=1 none x-initrd.attach\n' }],
    [false, { 'etc/crypttab': 'data UUID=1 none luks\n' }],
    [true, { 'etc/kernel/cmdline': 'quiet rd.luks.name=1=root\n' }],
    [true, { 'etc/kernel/cmdline': 'luks.uuid=1' }],
    [false, { 'etc/kernel/cmdline': 'quiet root=LABEL=luks.x' }],
  ])('say %s about volumes to unlock: %j', async (answer, files) => {
    await using root = await system(files);
    expect(opensVolumes(await readHostFiles(root.path, []))).toBe(answer);
  });

  it('come with a profile where it is for them', async () => {
    await using root = await system({ 'etc/mdadm/mdadm.conf': 'ARRAY' });
    expect((await readHostFiles(root.path, [])).files.size).toBe(0);
    expect([...(await readHostFiles(root.path, ['raid'])).files.keys()]).toEqual(['etc/mdadm/mdadm.conf']);
  });

  it('are not taken from outside of the system', async () => {
    await using outside = await system({ secret: 'of the machine' });
    await using root = await system({ 'etc/crypttab': 'a UUID=1 /key x-initrd.attach\n' });
    await symlink(join(outside.path, 'secret'), join(root.path, 'key'));
    expect((await readHostFiles(root.path, [])).missing).toEqual(['/key']);
  });
});
