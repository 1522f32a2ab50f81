import { describe, expect, it } from 'vitest';
import { hostPath, treePath } from '../../../src/base/brand.ts';
import type { Opened } from '../../../src/plan/step.ts';
import type { ScriptSettings } from '../../../src/plan/vocabulary.ts';
import { sandboxPath } from '../../../src/sandbox/bubblewrap.ts';
import { scriptRequest } from '../../../src/steps/scripts.ts';

const settings: Opened<ScriptSettings> = {
  phase: 'build',
  scripts: [],
  arguments: ['--fast'],
  environment: { RELEASE: 'trixie', SRCDIR: '/elsewhere' },
  network: false,
  sources: [
    { source: { path: hostPath('/home/u/project') }, target: treePath('') },
    { source: { path: hostPath('/home/u/other') }, target: treePath('other') },
  ],
  buildDirectory: hostPath('/home/u/build'),
  configJson: '{}',
};
const stage = {
  work: hostPath('/s/scripts'),
  helpers: hostPath('/s/helpers'),
  sources: settings.sources,
  apt: { mounts: [], env: {} },
  products: hostPath('/s/products'),
};
const run = { settings, root: hostPath('/s/root'), destination: hostPath('/s/out') };
const script = { file: { path: hostPath('/home/u/mkimg.build') }, chroot: false, name: 'mkimg.build' };

const work = [
  { source: '/s/scripts', target: '/work', mode: 'rw' },
  { source: '/home/u/mkimg.build', target: '/work/build-script', mode: 'ro' },
  { source: '/s/products/packages', target: '/work/packages', mode: 'rw' },
  { source: '/s/products/artifacts', target: '/work/artifacts', mode: 'rw' },
  { source: '/home/u/project', target: '/work/src', mode: 'rw' },
  { source: '/home/u/other', target: '/work/src/other', mode: 'rw' },
  { source: '/s/out', target: '/work/dest', mode: 'rw' },
  { source: '/home/u/build', target: '/work/build', mode: 'rw' },
];

describe('scriptRequest', () => {
  it('runs a script beside the tree, with the helper programs first on PATH', () => {
    const request = scriptRequest({ run, stage, script });
    expect(request).toMatchObject({
      tool: '/work/build-script',
      argv: ['--fast'],
      network: false,
      workingDirectory: '/work/src',
      mounts: [
        { source: '/s/root', target: '/buildroot', mode: 'dev' },
        { source: '/s/helpers', target: '/run/mkimg/bin', mode: 'ro' },
        ...work,
      ],
    });
    expect(request).not.toHaveProperty('root');
    expect(request.env?.['PATH']).toBe(`/run/mkimg/bin:${sandboxPath}`);
    expect(request.env).not.toHaveProperty('container');
  });

  it('runs *.chroot scripts inside the tree, with the same places and no helpers', () => {
    const request = scriptRequest({ run, stage, script: { ...script, chroot: true } });
    expect(request).toMatchObject({ root: '/s/root', mounts: work });
    expect(request.env).toMatchObject({ container: 'mkosi', DESTDIR: '/work/dest', RELEASE: 'trixie' });
    expect(request.env).not.toHaveProperty('PATH');
  });

  it('lets Environment= win, as mkosi does', () => {
    expect(scriptRequest({ run, stage, script }).env?.['SRCDIR']).toBe('/elsewhere');
  });

  it('shows postinst scripts the build directory read-only and no DESTDIR', () => {
    const postinst = { settings: { ...settings, phase: 'postinst' as const }, root: run.root };
    const { mounts } = scriptRequest({ run: postinst, stage, script });
    expect(mounts).toContainEqual({ source: '/home/u/build', target: '/work/build', mode: 'ro' });
    expect(mounts).toContainEqual({ source: '/s/products/output', target: '/work/out', mode: 'rw' });
    expect(mounts?.map((mount) => mount.target)).not.toContain('/work/dest');
  });

  it('shows post-output scripts the outputs and no tree', () => {
    const postoutput = {
      settings: { ...settings, phase: 'postoutput' as const },
      output: hostPath('/s/all'),
    };
    const { mounts, env } = scriptRequest({ run: postoutput, stage, script });
    expect(mounts?.map(({ source, target }) => [source, target])).toEqual([
      ['/s/helpers', '/run/mkimg/bin'],
      ['/s/scripts', '/work'],
      ['/home/u/mkimg.build', '/work/postoutput'],
      ['/s/all', '/work/out'],
      ['/home/u/project', '/work/src'],
      ['/home/u/other', '/work/src/other'],
    ]);
    expect(env).not.toHaveProperty('BUILDROOT');
  });
});
