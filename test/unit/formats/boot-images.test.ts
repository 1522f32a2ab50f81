import { describe, expect, it } from 'vitest';
import {
  commandLineSpaceBytes,
  findCommandLineSpace,
  grubConfiguration,
} from '../../../src/formats/grub-configuration.ts';
import { bootCode, bootCodeBytes, placedCore } from '../../../src/formats/grub-pc.ts';
import {
  commandLineAt,
  commandLineLimit,
  kernelBegin,
  kernelToLoad,
} from '../../../src/formats/s390-kernel.ts';

describe('a kernel for s390x', () => {
  const kernel = Buffer.alloc(0x12000, 0xee);
  kernel.writeBigUInt64BE(4096n, 0x10430);

  it('gets its command line and the place of its initrd', () => {
    const loaded = kernelToLoad(kernel, { commandLine: 'root=x quiet', initrdSize: 12_345 });
    expect(loaded.length).toBe(kernel.length - kernelBegin);
    expect(loaded.readBigUInt64BE(0x408)).toBe(0x400_0000n);
    expect(loaded.readBigUInt64BE(0x410)).toBe(12_345n);
    expect(loaded.subarray(0x480, 0x480 + 13).toString('latin1')).toBe('root=x quiet\0');
    expect(loaded[0x480 + 13]).toBe(0xee);
    // The original stays as it is.
    expect(kernel[commandLineAt]).toBe(0xee);
  });

  it('takes no more than it says', () => {
    expect(commandLineLimit(kernel)).toBe(4096);
    const fits = 'x'.repeat(4095);
    expect(kernelToLoad(kernel, { commandLine: fits, initrdSize: 0 }).readBigUInt64BE(0x408)).toBe(0n);
    expect(() => kernelToLoad(kernel, { commandLine: `${fits}x`, initrdSize: 0 })).toThrow(
      'has 4097 bytes; the kernel takes 4096',
    );
    const old = Buffer.from(kernel);
    old.writeBigUInt64BE(0n, 0x10430);
    expect(commandLineLimit(old)).toBe(896);
  });
});

describe("GRUB's images for PC BIOS", () => {
  it('find each other', () => {
    const boot = Buffer.alloc(512, 1);
    const code = bootCode(boot, 0x1_2345_6789);
    expect(code.length).toBe(bootCodeBytes);
    expect(code.readBigUInt64LE(0x5c)).toBe(0x1_2345_6789n);
    expect([code[0x64], code[0x66], code[0x67], code[0x68]]).toEqual([0xff, 0x90, 0x90, 1]);
    const core = placedCore(Buffer.alloc(1024, 2), 2048);
    expect(core.readBigUInt64LE(500)).toBe(2049n);
    expect([core.length, core[499], core[508]]).toEqual([1024, 2, 2]);
  });
});

describe('grubConfiguration', () => {
  const entries = [
    { title: 'Linux 6.12', linux: '/debian/6.12/linux', initrd: '/debian/6.12/initrd' },
    { title: "it's old", linux: '/a b/linux', initrd: '/a b/initrd' },
  ];

  it('has an entry for each kernel, and says each word so that the kernel gets it', () => {
    const text = grubConfiguration(entries, ['console=ttyS0', 'a="b c"', 'x=$y;z']);
    expect(text.replace(/ {1536}/, '...')).toBe(`set timeout=0
set timeout_style=hidden
set more='...'
menuentry 'Linux 6.12' {
  linux /debian/6.12/linux console=ttyS0 'a=b c' 'x=$y;z' $more
  initrd /debian/6.12/initrd
}
menuentry 'it'\\''s old' {
  linux '/a b/linux' console=ttyS0 'a=b c' 'x=$y;z' $more
  initrd '/a b/initrd'
}
`);
  });

  it('has room for further words where it can be found, also when there are some', () => {
    const text = Buffer.from(grubConfiguration(entries, ['console=ttyS0']));
    const { offset, ownBytes } = findCommandLineSpace(text) ?? { offset: 0, ownBytes: 0 };
    expect(text.toString('latin1', offset - 1, offset + commandLineSpaceBytes + 1)).toBe(
      `'${' '.repeat(commandLineSpaceBytes)}'`,
    );
    expect(ownBytes).toBe('console=ttyS0 '.length);
    text.write('quiet', offset);
    expect(findCommandLineSpace(text)?.offset).toBe(offset);
    for (const other of ['set timeout=0\n', "set more='short'\n"]) {
      expect(findCommandLineSpace(Buffer.from(other))).toBeUndefined();
    }
  });
});
