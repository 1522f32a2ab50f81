import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { hostPath } from '../../../src/base/brand.ts';
import type { ArchitectureName } from '../../../src/distro/architectures/index.ts';
import { architectureNames, architectures } from '../../../src/distro/architectures/index.ts';
import { canRegisterPrivately, parseInterpreter, runsInTrees } from '../../../src/sandbox/binfmt.ts';
import { binfmtRegistration, elfMagic, emulatedArgv } from '../../../src/sandbox/emulation.ts';

/** The first 20 bytes of programs as elf(5) lays them out, shared objects all (position-independent executables). */
const programs: Readonly<Record<ArchitectureName, string>> = {
  'x86-64': '7f454c4602010100000000000000000003003e00',
  x86: '7f454c4601010100000000000000000003000300',
  arm64: '7f454c460201010000000000000000000300b700',
  arm: '7f454c4601010100000000000000000003002800',
  riscv64: '7f454c460201010000000000000000000300f300',
  'ppc64-le': '7f454c4602010100000000000000000003001500',
  s390x: '7f454c4602020100000000000000000000030016',
  loongarch64: '7f454c4602010100000000000000000003000201',
};

function matches(name: ArchitectureName, header: Buffer): boolean {
  const { magic, mask } = elfMagic(architectures[name].elf);
  return magic.every((byte, index) => (((header[index] ?? 0) ^ byte) & (mask[index] ?? 0)) === 0);
}

describe('the magic of an architecture', () => {
  it.each(architectureNames)('matches programs of %s and of no other', (name) => {
    const found = architectureNames.filter((other) => matches(name, Buffer.from(programs[other], 'hex')));
    expect(found).toEqual([name]);
  });

  it('matches plain executables, and programs that name the ABI of GNU', () => {
    const header = Buffer.from(programs.arm64, 'hex');
    header[16] = 2;
    header[7] = 3;
    expect(matches('arm64', header)).toBe(true);
    // Object files and core dumps.
    header[16] = 1;
    expect(matches('arm64', header)).toBe(false);
    header[16] = 4;
    expect(matches('arm64', header)).toBe(false);
  });

  it('is what QEMU registers', () => {
    expect(binfmtRegistration('s390x', 'qemu-s390x')).toBe(
      String.raw`:mkimg-s390x:M::\x7f\x45\x4c\x46\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16` +
        String.raw`:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:qemu-s390x:POCF`,
    );
  });

  it('fits into what the kernel takes at a time', () => {
    for (const name of architectureNames)
      expect(binfmtRegistration(name, architectures[name].emulator).length).toBeLessThan(256);
  });
});

describe("the machine's interpreters", () => {
  const text = [
    'enabled',
    'interpreter /usr/bin/qemu-aarch64',
    'flags: POCF',
    'offset 0',
    'magic 7f454c460201010000000000000000000200b700',
    'mask ffffffffffffff00fffffffffffffffffeffffff',
    '',
  ].join('\n');

  it('are known by what they run', () => {
    const interpreter = parseInterpreter(text);
    expect(interpreter).toMatchObject({ path: '/usr/bin/qemu-aarch64', flags: 'POCF', offset: 0 });
    const runs = architectureNames.filter((name) => interpreter && runsInTrees(interpreter, name));
    expect(runs).toEqual(['arm64']);
  });

  it('are of no use in trees unless they are open already', () => {
    const interpreter = parseInterpreter(text.replace('POCF', 'POC'));
    expect(interpreter && runsInTrees(interpreter, 'arm64')).toBe(false);
  });

  it.each([
    ['switched off', text.replace('enabled', 'disabled')],
    ['by the name of the file', text.replace(/magic .*\n/, 'extension .jar\n').replace(/mask .*\n/, '')],
    ['gone meanwhile', ''],
  ])('do not count when they are %s', (_, entry) => {
    expect(parseInterpreter(entry)).toBeUndefined();
  });
});

describe('the version of the kernel', () => {
  it.each([
    ['6.7.0', true],
    ['6.18.44-fc-v657', true],
    ['10.0', true],
    ['6.6.99-1-amd64', false],
    ['5.15.0', false],
    ['unknown', false],
  ])('%s: a private list is %s', (kernel, answer) => {
    expect(canRegisterPrivately(kernel)).toBe(answer);
  });
});

describe('emulatedArgv', () => {
  const argv = emulatedArgv({ architecture: 'riscv64', program: hostPath('/store/a b/qemu-riscv64') }, [
    '/usr/bin/bwrap',
    '--args',
    '3',
  ]);

  it('hands on the command line word by word', () => {
    expect(argv.slice(0, 2)).toEqual(['/bin/sh', '-c']);
    expect(argv.slice(-4)).toEqual([
      binfmtRegistration('riscv64', 'qemu-riscv64'),
      '/usr/bin/bwrap',
      '--args',
      '3',
    ]);
    expect(argv).toContain('/store/a b');
  });

  it('is made of scripts that any shell can read', () => {
    for (const script of [argv[2], argv[4]])
      expect(spawnSync('sh', ['-n', '-c', script ?? '(']).status).toBe(0);
  });
});
