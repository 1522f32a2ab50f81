import { chmod, mkdir, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../../src/base/brand.ts';
import { hostPath } from '../../../../src/base/brand.ts';
import type { TemporaryDirectory } from '../../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../../src/base/temporary.ts';
import { architectures, nativeArchitecture } from '../../../../src/distro/architectures/index.ts';
import { treeAt } from '../../../../src/sandbox/tree.ts';
import type { NativePrograms } from '../../../../src/steps/apt/native-programs.ts';
import { nativePrograms } from '../../../../src/steps/apt/native-programs.ts';

const native = architectures[nativeArchitecture()];
const foreign = architectures[nativeArchitecture() === 's390x' ? 'arm64' : 's390x'];

describe('programs of this machine for trees of others', () => {
  let scratch: TemporaryDirectory;
  let tools: HostPath;
  let tree: HostPath;

  beforeEach(async () => {
    scratch = await temporaryDirectory('/tmp', 'native-programs-');
    tools = await system('tools', native.triplet);
    tree = await system('tree', foreign.triplet);
    await put(tools, `usr${native.loader}`);
  });
  afterEach(() => scratch[Symbol.asyncDispose]());

  async function put(root: HostPath, path: string): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), '');
    await chmod(join(root, path), 0o755);
  }

  async function system(name: string, triplet: string): Promise<HostPath> {
    const root = hostPath(join(scratch.path, name));
    for (const path of ['dash', 'perl', 'sed', 'uname', 'dpkg']) await put(root, `usr/bin/${path}`);
    await put(root, `usr/lib/${triplet}/libc.so.6`);
    await mkdir(join(root, 'usr/lib64'));
    await symlink('dash', join(root, 'usr/bin/sh'));
    for (const link of ['bin', 'lib']) await symlink(`usr/${link}`, join(root, link));
    if (name === 'tools') await symlink('usr/lib64', join(root, 'lib64'));
    return root;
  }

  async function find(isUnpacked = true): Promise<{ found: NativePrograms; links: readonly string[] }> {
    const work = hostPath(join(scratch.path, 'work'));
    const found = await nativePrograms({
      ...{ tree: treeAt(tree), tools: { kind: 'tree', path: tools }, work, isUnpacked },
    });
    const links = found.path === undefined ? [] : await readdir(join(work, 'native-programs'));
    return { found, links: links.sort() };
  }

  const targets = ({ mounts }: NativePrograms): readonly string[] => mounts.map(({ target }) => target);

  it('are those that do the same everywhere, and are in the tree, too', async () => {
    await put(tools, 'usr/bin/grep');
    const { found, links } = await find();
    expect(links).toEqual(['perl', 'sed']);
    const link = await readlink(join(scratch.path, 'work/native-programs/sed'));
    expect(found.mounts).toContainEqual({
      ...{ source: join(tools, 'usr/bin'), target: dirname(link), mode: 'ro' },
    });
    expect(targets(found)).toContain(found.path);
  });

  it('find their loader and libraries where they expect them, beside those of the tree', async () => {
    const { found } = await find();
    expect(found.mounts).toContainEqual({
      ...{ source: join(tools, `usr${native.loader}`), target: `/usr${native.loader}`, mode: 'ro' },
    });
    expect(targets(found)).toContain(`/usr/lib/${native.triplet}`);
    const directory = dirname(native.loader);
    const isMissing = directory === '/lib64';
    expect(found.symlinks).toEqual(isMissing ? [{ target: 'usr/lib64', path: '/lib64' }] : []);
  });

  it('read scripts only where dpkg replaces nothing meanwhile', async () => {
    expect(targets((await find()).found)).toEqual(
      expect.arrayContaining(['/usr/bin/dash', '/usr/bin/perl']) as unknown,
    );
    await rm(join(scratch.path, 'work'), { recursive: true });
    const { found } = await find(false);
    expect(targets(found)).not.toContain('/usr/bin/dash');
    expect(targets(found)).not.toContain('/usr/bin/perl');
  });

  it('are no perl where modules are compiled for the other architecture', async () => {
    await mkdir(join(tree, `usr/lib/${foreign.triplet}/perl5`));
    const { found, links } = await find();
    expect(links).toEqual(['sed']);
    expect(targets(found)).toContain('/usr/bin/dash');
    expect(targets(found)).not.toContain('/usr/bin/perl');
  });

  it('leave the shell alone where sh is another one', async () => {
    await put(tree, 'usr/bin/bash');
    await rm(join(tree, 'usr/bin/sh'));
    await symlink('bash', join(tree, 'usr/bin/sh'));
    expect(targets((await find()).found)).not.toContain('/usr/bin/dash');
  });

  it('are left out where the tree has libraries of this architecture itself', async () => {
    await mkdir(join(tree, `usr/lib/${native.triplet}`));
    expect((await find()).found).toEqual({ mounts: [], symlinks: [] });
  });

  it('are left out where the tools have their libraries elsewhere', async () => {
    tools = await system('fedora', 'elsewhere');
    await put(tools, `usr${native.loader}`);
    expect((await find()).found).toEqual({ mounts: [], symlinks: [] });
  });
});
