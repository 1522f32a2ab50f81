import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import { prepareRoot } from '../../../src/sandbox/mount-points.ts';
import type { Mount, SandboxSpec } from '../../../src/sandbox/types.ts';

let scratch: HostPath;
let root: HostPath;

beforeEach(async () => {
  scratch = hostPath(await mkdtemp(join(tmpdir(), 'mkimg-points-')));
  root = hostPath(join(scratch, 'root'));
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(scratch, 'file'), '');
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

function specWith(mounts: readonly Mount[], network = false): SandboxSpec {
  return { tools: { kind: 'host' }, mounts, network, env: {}, suppressChown: false, root };
}

function mount(target: string, source: HostPath = scratch): Mount {
  return { source, target, mode: 'ro' };
}

describe('prepareRoot', () => {
  it('makes mount points and takes them away again, but keeps the system directories', async () => {
    {
      await using prepared = await prepareRoot(
        specWith([mount('/work/src'), mount('/etc/x/file', hostPath(join(scratch, 'file')))]),
      );
      expect(prepared.spec.mounts.map(({ target }) => target)).toEqual(['/work/src', '/etc/x/file']);
      expect(await readdir(join(root, 'work'))).toEqual(['src']);
      expect(await readFile(join(root, 'etc/x/file'), 'utf8')).toBe('');
    }
    expect(await readdir(join(root, 'etc'))).toEqual([]);
    expect((await readdir(root)).sort()).toEqual(['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'var']);
  });

  it('keeps what the program put into a mount point', async () => {
    {
      await using prepared = await prepareRoot(specWith([mount('/work/src')]));
      await writeFile(join(root, 'work/kept'), prepared.spec.mounts[0]?.target ?? '');
    }
    expect(await readdir(join(root, 'work'))).toEqual(['kept']);
  });

  it('does not follow links out of the tree', async () => {
    await symlink('../../host', join(root, 'work'));
    await symlink('/oldroot/etc', join(root, 'sneaky'));
    {
      await using prepared = await prepareRoot(specWith([mount('/work/src'), mount('/sneaky/cron.d/x')]));
      expect(prepared.spec.mounts.map(({ target }) => target)).toEqual([
        '/host/src',
        '/oldroot/etc/cron.d/x',
      ]);
      expect(await readdir(root)).toContain('host');
    }
    expect(await readdir(root)).not.toContain('host');
    expect((await readdir(scratch)).sort()).toEqual(['file', 'root']);
  });

  it('places links inside the tree, and takes them away again', async () => {
    await symlink('/oldroot', join(root, 'lib'));
    const spec = { ...specWith([]), symlinks: [{ target: 'usr/lib', path: '/lib/new/link' }] };
    {
      await using prepared = await prepareRoot(spec);
      expect(prepared.spec.symlinks).toEqual([{ target: 'usr/lib', path: '/oldroot/new/link' }]);
      // As bwrap does.
      await symlink('usr/lib', join(root, 'oldroot/new/link'));
    }
    expect(await readdir(root)).not.toContain('oldroot');
  });

  it('shows the resolver where its link leads, without a file in the tree', async () => {
    await symlink('../run/systemd/resolve/stub-resolv.conf', join(root, 'etc/resolv.conf'));
    await using prepared = await prepareRoot(specWith([], true));
    expect(prepared.spec.mounts).toEqual([
      { source: '/etc/resolv.conf', target: '/run/systemd/resolve/stub-resolv.conf', mode: 'ro' },
    ]);
    expect(await readdir(join(root, 'run'))).toEqual([]);
  });

  it('refuses a tree whose /tmp is a link', async () => {
    await symlink('/etc', join(root, 'tmp'));
    await expect(prepareRoot(specWith([]))).rejects.toMatchObject({ code: 'bad-tree-path' });
  });

  it('leaves specs without a tree alone', async () => {
    const spec: SandboxSpec = {
      tools: { kind: 'host' },
      mounts: [],
      network: true,
      env: {},
      suppressChown: false,
    };
    await using prepared = await prepareRoot(spec);
    expect(prepared.spec).toBe(spec);
  });
});
