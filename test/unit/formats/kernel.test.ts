import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { detectKernel, kernelRelease } from '../../../src/formats/kernel.ts';
import { peKind, peMachines, readPe, readPeSection } from '../../../src/formats/pe.ts';
import { sampleBzImage, sampleElf, samplePe } from './samples.ts';

const text = (name: string, content: string) => ({ name, content: Buffer.from(content) });
const linux = text('.linux', 'kernel');
const osrel = text('.osrel', 'ID=debian\n');
const magicOf = (program: string) => text('.sdmagic', `#### LoaderInfo: ${program} 257.13 ####\0`);

describe('readPe', () => {
  it('reads machine, subsystem and sections', () => {
    const source = bufferSource(samplePe(0x8664, [linux, osrel]));
    const image = readPe(source);
    expect(image).toMatchObject({ machine: 0x8664, subsystem: 10 });
    expect(image?.sections.map(({ name, virtualSize }) => [name, virtualSize])).toEqual([
      ['.linux', 6],
      ['.osrel', 10],
    ]);
    expect(image === undefined ? undefined : readPeSection(source, image, '.osrel')?.toString()).toBe(
      'ID=debian\n',
    );
    expect(peMachines.get(0x8664)).toBe('x64');
  });

  it('takes nothing else for a PE', () => {
    const image = samplePe(0x8664, [linux]);
    for (const data of [Buffer.alloc(0), Buffer.from('MZ'), Buffer.alloc(4096), image.subarray(0, 0x100)])
      expect(readPe(bufferSource(data))).toBeUndefined();
    image.writeUInt16LE(0xffff, 0x86);
    expect(readPe(bufferSource(image))).toBeUndefined();
    image.writeUInt32LE(0xffff_fff0, 0x3c);
    expect(readPe(bufferSource(image))).toBeUndefined();
  });

  it.each([
    ['uki', [magicOf('systemd-stub'), osrel, linux]],
    ['stub', [text('.text', 'x'), magicOf('systemd-stub')]],
    ['stub', [text('.text', 'x'), magicOf('systemd-addon')]],
    ['addon', [magicOf('systemd-addon'), text('.cmdline', 'quiet')]],
    ['boot-loader', [magicOf('systemd-boot'), osrel]],
    ['other', [text('.text', 'x')]],
  ])('tells a %s', (kind, sections) => {
    const source = bufferSource(samplePe(0xaa64, sections));
    const image = readPe(source);
    expect(image === undefined ? undefined : peKind(source, image)).toBe(kind);
  });
});

function withMagic(size: number, offset: number, magic: string): Buffer {
  const image = Buffer.alloc(size);
  image.write(magic, offset, 'latin1');
  return image;
}

describe('detectKernel', () => {
  it.each([
    ['bzimage', false, sampleBzImage('6.12.1-amd64')],
    ['image', false, withMagic(4096, 0x38, 'ARM\x64')],
    ['image', false, withMagic(4096, 0x38, 'RSC\x05')],
    ['image', false, withMagic(4096, 0x38, '\xcd\x23\x82\x81')],
    ['zimage', false, withMagic(4096, 0x24, '\x18\x28\x6f\x01')],
    ['zboot', false, withMagic(4096, 4, 'zimg')],
    ['s390', false, withMagic(0x11000, 0x10008, 'S390EP')],
    ['gzip', false, withMagic(64, 0, '\x1f\x8b\x08')],
    ['elf', false, sampleElf({ name: '.text', content: Buffer.alloc(8) }, { machine: 21, type: 3 })],
    ['uki', true, samplePe(0x8664, [osrel, linux])],
  ])('tells %s', (format, efi, data) => {
    expect(detectKernel(bufferSource(data))).toEqual({ format, efi });
  });

  it('sees that a kernel is a PE too', () => {
    const image = samplePe(0xaa64, [text('.text', 'x')]);
    image.write('ARM\x64', 0x38, 'latin1');
    expect(detectKernel(bufferSource(image))).toEqual({ format: 'image', efi: true });
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['text', Buffer.from('System.map')],
    ['a boot loader', samplePe(0x8664, [magicOf('systemd-boot')])],
    ['a program', sampleElf({ name: '.text', content: Buffer.alloc(8) }, { machine: 62, type: 3 })],
  ])('takes %s for none', (_what, data) => {
    expect(detectKernel(bufferSource(data))).toBeUndefined();
  });
});

describe('kernelRelease', () => {
  it('reads the setup header of x86', () => {
    expect(kernelRelease(bufferSource(sampleBzImage('6.12.107+deb13-amd64')), 'bzimage')).toBe(
      '6.12.107+deb13-amd64',
    );
    expect(kernelRelease(bufferSource(Buffer.alloc(0x400)), 'bzimage')).toBeUndefined();
  });

  it('finds the banner of uncompressed images, at the edge of a window too', () => {
    const size = 4 << 20;
    for (const offset of [100, size - 7, size + 3]) {
      const image = withMagic(size + 4096, offset, 'Linux version 6.12.1-arm64 (builder@host)');
      image.write('Linux version %s (', 0, 'latin1');
      expect(kernelRelease(bufferSource(image), 'image')).toBe('6.12.1-arm64');
    }
    expect(kernelRelease(bufferSource(Buffer.alloc(64)), 'image')).toBeUndefined();
  });

  it('reads the name section of a UKI', () => {
    const uki = samplePe(0x8664, [osrel, linux, text('.uname', '6.12.1')]);
    expect(kernelRelease(bufferSource(uki), 'uki')).toBe('6.12.1');
  });
});
