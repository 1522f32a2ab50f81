import { describe, expect, it } from 'vitest';
import { hostPath, treePath } from '../../../src/base/brand.ts';
import { mountTable, sharedTrees } from '../../../src/qemu/runtime-options.ts';

const none = { BuildDirectory: undefined, BuildSources: [], RuntimeBuildSources: false, RuntimeTrees: [] };

describe('directories of the host', () => {
  it('go below /root/src unless they say where', () => {
    const RuntimeTrees = [
      { source: hostPath('/a'), target: treePath('') },
      { source: hostPath('/b'), target: treePath('x/y') },
      { source: hostPath('/c'), target: treePath('/srv/c'), rooted: true as const },
    ];
    expect(sharedTrees({ ...none, RuntimeTrees })).toEqual([
      { tag: 'mkimg0', source: '/a', target: '/root/src' },
      { tag: 'mkimg1', source: '/b', target: '/root/src/x/y' },
      { tag: 'mkimg2', source: '/c', target: '/srv/c' },
    ]);
  });

  it('are where build scripts see them, for RuntimeBuildSources=', () => {
    const BuildSources = [
      { source: hostPath('/p'), target: treePath('') },
      { source: hostPath('/q'), target: treePath('lib') },
    ];
    const config = { ...none, BuildSources, BuildDirectory: hostPath('/b') };
    expect(sharedTrees(config)).toEqual([]);
    expect(sharedTrees({ ...config, RuntimeBuildSources: true })).toMatchObject([
      { source: '/p', target: '/work/src' },
      { source: '/q', target: '/work/src/lib' },
      { source: '/b', target: '/work/build' },
    ]);
  });

  it('are mounted by lines of fstab(5)', () => {
    const trees = [{ tag: 'mkimg0', source: hostPath('/a'), target: '/root/src/a b\\c' }];
    expect(mountTable(trees, 'virtiofs')).toBe('mkimg0 /root/src/a\\040b\\134c virtiofs rw,nofail 0 0\n');
    expect(mountTable(trees, '9p')).toMatch(/ 9p rw,trans=virtio,version=9p2000\.L,\S*nofail 0 0\n$/);
  });
});
