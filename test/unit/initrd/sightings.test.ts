import { mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { isSameSight, look } from '../../../src/initrd/sightings.ts';

type Change = (directory: string) => Promise<void>;

/** Whether the change is seen when a directory, or only the directories in it, are looked at. */
async function isSeen(change: Change, suffix = ''): Promise<boolean> {
  await using directory = await temporaryDirectory('/tmp', 'test-sightings-');
  await mkdir(join(directory.path, 'sub'));
  await writeFile(join(directory.path, 'sub/file'), 'one');
  await symlink('sub/file', join(directory.path, 'link'));
  const paths = [directory.path + suffix, join(directory.path, 'absent')];
  const before = look(paths);
  await change(directory.path);
  const after = look(paths);
  if (before === undefined || after === undefined) throw new Error('too much to look at');
  return !isSameSight(before, after);
}

const times = new Date(1000);

const changes: Readonly<Record<string, Change>> = {
  'another content': (directory) => writeFile(join(directory, 'sub/file'), 'two'),
  'a new file': (directory) => writeFile(join(directory, 'sub/new'), ''),
  'a file less': (directory) => rm(join(directory, 'sub/file')),
  'a file that was absent': (directory) => writeFile(join(directory, 'absent'), ''),
  'times that were set back': (directory) => utimes(join(directory, 'sub/file'), times, times),
  'another file of the same size': async (directory) => {
    await writeFile(join(directory, 'sub/new'), 'one');
    await rename(join(directory, 'sub/new'), join(directory, 'sub/file'));
  },
};

describe('sightings', () => {
  it.each(Object.entries(changes))('tell of %s', async (_, change) => {
    expect(await isSeen(change)).toBe(true);
  });

  it('tell of nothing where nothing changed', async () => {
    expect(await isSeen(() => Promise.resolve())).toBe(false);
  });

  it('of directories alone tell of files that are replaced, and not of those that are written to', async () => {
    expect(await isSeen(changes['another file of the same size'] ?? fail, '/')).toBe(true);
    expect(await isSeen(changes['another content'] ?? fail, '/')).toBe(false);
  });

  it('follow links once', async () => {
    expect(await isSeen((directory) => symlink('.', join(directory, 'self')))).toBe(true);
  });
});

function fail(): Promise<void> {
  throw new Error('there is no such change');
}
