import { describe, expect, it } from 'vitest';
import { placesEnvironment, scriptFile } from '../../../src/steps/script-environment.ts';

const common = {
  BUILDROOT: '/buildroot',
  SRCDIR: '/work/src',
  CHROOT_SRCDIR: '/work/src',
  PACKAGEDIR: '/work/packages',
  ARTIFACTDIR: '/work/artifacts',
  MKOSI_CONFIG: '/work/config.json',
  MKOSI_UID: '0',
  MKOSI_GID: '0',
};

describe('placesEnvironment', () => {
  it('gives prepare scripts neither output nor build directory', () => {
    expect(placesEnvironment({ phase: 'prepare', buildDirectory: true })).toEqual({
      ...common,
      SCRIPT: '/work/prepare',
      CHROOT_SCRIPT: '/work/prepare',
    });
  });

  it('gives build scripts DESTDIR and BUILDDIR on both sides', () => {
    expect(placesEnvironment({ phase: 'build', buildDirectory: true })).toEqual({
      ...common,
      SCRIPT: '/work/build-script',
      CHROOT_SCRIPT: '/work/build-script',
      DESTDIR: '/work/dest',
      CHROOT_DESTDIR: '/work/dest',
      BUILDDIR: '/work/build',
      CHROOT_BUILDDIR: '/work/build',
    });
  });

  it.each(['postinst', 'finalize'] as const)('gives %s scripts OUTPUTDIR', (phase) => {
    const output = { OUTPUTDIR: '/work/out', CHROOT_OUTPUTDIR: '/work/out' };
    const script = { SCRIPT: scriptFile(phase), CHROOT_SCRIPT: scriptFile(phase) };
    expect(placesEnvironment({ phase, buildDirectory: false })).toEqual({ ...common, ...script, ...output });
    expect(placesEnvironment({ phase, buildDirectory: true })).toEqual({
      ...common,
      ...script,
      ...output,
      BUILDDIR: '/work/build',
    });
  });
});
