import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { microcodeEntries, microcodeFiles, parseProcessor } from '../../../src/initrd/microcode.ts';

const cpuinfo = (vendor: string, ...[family, model, stepping]: readonly [number, number, number]): string =>
  `processor\t: 0\nvendor_id\t: ${vendor}\ncpu family\t: ${family}\nmodel\t\t: ${model}\nmodel name\t: X\nstepping\t: ${stepping}\n`;

describe('the processor', () => {
  it('is the first of /proc/cpuinfo', () => {
    const text = cpuinfo('GenuineIntel', 6, 158, 10) + cpuinfo('GenuineIntel', 6, 1, 1);
    expect(parseProcessor(text)).toEqual({ vendor: 'GenuineIntel', family: 6, model: 158, stepping: 10 });
  });

  it.each(['', 'processor: 0\nCPU implementer: 0x41\n', cpuinfo('SomeoneElse', 1, 1, 1)])(
    'is none where there is no microcode for it',
    (text) => expect(parseProcessor(text)).toBeUndefined(),
  );
});

describe('microcode', () => {
  async function firmware(files: readonly string[]): Promise<Awaited<ReturnType<typeof temporaryDirectory>>> {
    const root = await temporaryDirectory('/tmp', 'test-microcode-');
    for (const file of files) {
      const path = join(root.path, 'usr/lib/firmware', file);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, `<${file}>`);
    }
    return root;
  }

  it('of one processor is its own file alone', async () => {
    await using root = await firmware([
      'intel-ucode/06-9e-0a',
      'intel-ucode/06-9e-09',
      'amd-ucode/microcode_amd.bin',
    ]);
    const processor = { vendor: 'GenuineIntel', family: 6, model: 158, stepping: 10 };
    const files = await microcodeFiles(root.path, processor);
    expect(files.map(({ path }) => path.split('/').at(-1))).toEqual(['06-9e-0a']);
  });

  it.each([
    [0x10, 'microcode_amd.bin'],
    [0x19, 'microcode_amd_fam19h.bin'],
  ])('of AMD goes by family %i', async (family, name) => {
    await using root = await firmware([
      'amd-ucode/microcode_amd.bin',
      'amd-ucode/microcode_amd_fam19h.bin.xz',
      'amd-ucode/microcode_amd_fam19h.bin',
    ]);
    const files = await microcodeFiles(root.path, { vendor: 'AuthenticAMD', family, model: 1, stepping: 1 });
    expect(files[0]?.path.endsWith(name)).toBe(true);
  });

  it('of all processors comes in one order, under the names that the kernel looks for, uncompressed', async () => {
    await using root = await firmware([
      ...['amd-ucode/microcode_amd_fam17h.bin.zst', 'amd-ucode/microcode_amd.bin', 'amd-ucode/README'],
      ...['intel-ucode/06-9e-0a', 'intel-ucode/06-01-01'],
    ]);
    const files = await microcodeFiles(root.path, undefined);
    const unpack = (file: string): Promise<Buffer> =>
      Promise.resolve(Buffer.from(`unpacked ${file.split('/').at(-1) ?? ''}`));
    const entries = await microcodeEntries(files, { epoch: 7, unpack });
    const contents = entries.map(({ path, content }) => [
      path.toString(),
      Buffer.isBuffer(content) ? content.toString() : undefined,
    ]);
    expect(contents).toEqual([
      ['kernel', undefined],
      ['kernel/x86', undefined],
      ['kernel/x86/microcode', undefined],
      [
        'kernel/x86/microcode/AuthenticAMD.bin',
        '<amd-ucode/microcode_amd.bin>unpacked microcode_amd_fam17h.bin.zst',
      ],
      ['kernel/x86/microcode/GenuineIntel.bin', '<intel-ucode/06-01-01><intel-ucode/06-9e-0a>'],
    ]);
  });
});
