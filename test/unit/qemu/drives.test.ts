import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { driveDisk, extendFile, grownSize, prepareDrives } from '../../../src/qemu/drives.ts';

const drive = {
  id: 'data',
  size: 10_000,
  directory: undefined,
  options: undefined,
  fileId: 'data',
  flags: [],
} as const;

describe('prepareDrives', () => {
  it('makes sparse files that vanish', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    {
      await using drives = await prepareDrives([drive, { ...drive, id: 'b', fileId: 'b' }], scratch.path, []);
      expect(drives.disks.map(({ id }) => id)).toEqual(['data', 'b']);
      for (const { path } of drives.disks) expect((await stat(path)).size).toBe(10_000);
    }
    expect(await readdir(scratch.path)).toEqual([]);
  });

  it('keeps the file of a drive that persists, and what is in it', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    const kept = { ...drive, fileId: 'shared', flags: ['persist'] } as const;
    const file = join(scratch.path, 'mkimg-drive-shared');
    await writeFile(file, 'content');
    {
      await using drives = await prepareDrives([kept], scratch.path, []);
      expect(drives.disks[0]?.path).toBe(file);
    }
    const content = await readFile(file);
    expect([content.length, content.toString().slice(0, 7)]).toEqual([10_000, 'content']);
  });

  it('leaves nothing behind when one cannot be made', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    const bad = { ...drive, directory: hostPath(join(scratch.path, 'absent')), flags: ['persist'] } as const;
    await expect(prepareDrives([drive, bad], scratch.path, [])).rejects.toMatchObject({
      code: 'drive-not-writable',
    });
    expect(await readdir(scratch.path)).toEqual([]);
  });
});

describe('driveDisk', () => {
  it('gets a device unless an argument of the user has one for it', () => {
    const path = hostPath('/var/tmp/x');
    const devices = [[], ['-device', 'nvme,serial=1,drive=data'], ['-device', 'nvme,drive=data2']].map(
      (words) => driveDisk(drive, path, words).device,
    );
    expect(devices).toEqual(['virtio-blk', 'none', 'virtio-blk']);
  });

  it('hands its options on', () => {
    expect(driveDisk({ ...drive, options: 'cache=none' }, hostPath('/x'), []).options).toBe('cache=none');
  });
});

describe('extendFile', () => {
  it('never cuts a file', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    const file = hostPath(join(scratch.path, 'f'));
    await writeFile(file, '0123456789');
    await extendFile(file, 5);
    expect(await readFile(file, 'utf8')).toBe('0123456789');
  });

  it('follows no link', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    const link = hostPath(join(scratch.path, 'link'));
    await mkdir(join(scratch.path, 'd'));
    await symlink(join(scratch.path, 'd/target'), link);
    await expect(extendFile(link, 5)).rejects.toMatchObject({ code: 'drive-not-writable' });
    expect(await readdir(join(scratch.path, 'd'))).toEqual([]);
  });
});

describe('grownSize', () => {
  it('is a whole number of sectors, and only where the image is smaller', async () => {
    await using scratch = await temporaryDirectory('/tmp', 'mkimg-drives-');
    const image = hostPath(join(scratch.path, 'i'));
    await writeFile(image, Buffer.alloc(8192));
    expect(await Promise.all([undefined, 1, 8192, 8193].map((size) => grownSize(image, size)))).toEqual([
      undefined,
      undefined,
      undefined,
      12288,
    ]);
  });
});
