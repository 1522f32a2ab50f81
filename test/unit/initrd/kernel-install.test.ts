import { describe, expect, it } from 'vitest';
import type { HookFacts } from '../../../src/initrd/kernel-install.ts';
import { hookCall, hookTask } from '../../../src/initrd/kernel-install.ts';

const argv = ['add', '6.1', '/boot/token/6.1', '/boot/vmlinuz-6.1'];
const environment = {
  KERNEL_INSTALL_LAYOUT: 'bls',
  KERNEL_INSTALL_BOOT_ROOT: '/efi',
  KERNEL_INSTALL_ENTRY_TOKEN: 'token',
  KERNEL_INSTALL_STAGING_AREA: '/tmp/staging',
  KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg',
};
const facts: HookFacts = {
  ...{ hasEntryDirectory: true, isDebian: false },
  ...{ stagesPlainInitrd: false, keepsPlainKernel: false },
};

interface Case {
  readonly argv?: readonly string[];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly facts?: Partial<HookFacts>;
}

function task(change: Case): unknown {
  const call = hookCall(change.argv ?? argv, { ...environment, ...change.environment });
  if (call === undefined) return undefined;
  return hookTask(call, { ...facts, ...change.facts });
}

describe('a call of kernel-install', () => {
  it('is not for us with another verb', () => {
    expect(hookCall(['inspect', '6.1'], environment)).toBeUndefined();
    expect(hookCall([], environment)).toBeUndefined();
  });

  it.each([
    ['without a version', ['add']],
    ['with a version that leads elsewhere', ['add', '../6.1', '/boot/token/6.1', '/vmlinuz']],
    ['without a directory', ['add', '6.1']],
    ['without a kernel', ['add', '6.1', '/boot/token/6.1']],
  ])('is refused %s', (_, words) => {
    expect(() => hookCall(words, environment)).toThrow('kernel-install did not say');
  });

  it('means /boot and plain files where an old version says nothing', () => {
    expect(hookCall(argv, {})).toMatchObject({ layout: 'other', bootRoot: '/boot', stagingArea: undefined });
  });
});

describe('what is asked for', () => {
  it.each([
    ['another generator', { KERNEL_INSTALL_INITRD_GENERATOR: 'dracut' }],
    ['no generator', { KERNEL_INSTALL_INITRD_GENERATOR: '' }],
    ['a name that only begins with ours', { KERNEL_INSTALL_INITRD_GENERATOR: 'mkimg2' }],
    ['a kernel that is a UKI', { KERNEL_INSTALL_IMAGE_TYPE: 'uki' }],
    ['an addon', { KERNEL_INSTALL_IMAGE_TYPE: 'addon' }],
    [
      'UKIs of ours in another layout',
      { KERNEL_INSTALL_INITRD_GENERATOR: '', KERNEL_INSTALL_UKI_GENERATOR: 'mkimg' },
    ],
  ])('is nothing with %s', (_, change) => {
    expect(task({ environment: change })).toEqual({ kind: 'nothing' });
  });

  it('is nothing where the kernel comes with an initrd', () => {
    expect(task({ argv: [...argv, '/boot/own.initrd'] })).toEqual({ kind: 'nothing' });
  });

  it.each(['bls', 'uki'])('is staged for layout %s', (layout) => {
    expect(task({ environment: { KERNEL_INSTALL_LAYOUT: layout } })).toEqual({
      kind: 'stage',
      directory: '/tmp/staging',
    });
  });

  it.each([
    [false, '/efi/initramfs-6.1.img'],
    [true, '/efi/initrd.img-6.1'],
  ])('is a plain file for other layouts (Debian: %s)', (isDebian, path) => {
    expect(task({ environment: { KERNEL_INSTALL_LAYOUT: 'other' }, facts: { isDebian } })).toEqual({
      kind: 'initrd',
      path,
    });
  });

  it.each([
    ['bls', true],
    ['uki', true],
    ['other', false],
  ])('is the plain file for layout %s, where another plugin stages that', (layout, isStaged) => {
    expect(
      task({ environment: { KERNEL_INSTALL_LAYOUT: layout }, facts: { stagesPlainInitrd: true } }),
    ).toEqual({ kind: 'initrd', path: '/boot/initrd.img-6.1', isStaged });
  });

  it('is not to remove the plain file of a kernel that stays', () => {
    const removal = ['remove', '6.1', '/boot/token/6.1'];
    expect(task({ argv: removal, facts: { keepsPlainKernel: true } })).toEqual({ kind: 'nothing' });
  });

  it('stands beside the kernel where there is no staging area', () => {
    const old = { KERNEL_INSTALL_STAGING_AREA: undefined };
    expect(task({ environment: old })).toEqual({ kind: 'initrd', path: '/boot/token/6.1/initrd' });
    expect(task({ environment: old, facts: { hasEntryDirectory: false } })).toEqual({
      kind: 'initrd',
      path: '/efi/initramfs-6.1.img',
    });
  });

  it('is a UKI where we make those', () => {
    const uki = { KERNEL_INSTALL_LAYOUT: 'uki', KERNEL_INSTALL_UKI_GENERATOR: 'mkimg' };
    const kernel = '/boot/vmlinuz-6.1';
    expect(task({ environment: uki })).toEqual({ kind: 'uki', path: '/tmp/staging/uki.efi', kernel });
    expect(task({ environment: { ...uki, KERNEL_INSTALL_STAGING_AREA: undefined } })).toEqual({
      ...{ kind: 'uki', kernel },
      path: '/efi/EFI/Linux/token-6.1.efi',
    });
  });

  it('is to remove plain files of ours with the kernel', () => {
    expect(task({ argv: ['remove', '6.1', '/boot/token/6.1'] })).toEqual({
      kind: 'remove',
      paths: ['/efi/initrd.img-6.1', '/efi/initramfs-6.1.img'],
    });
  });
});
