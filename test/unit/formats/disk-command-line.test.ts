import { describe, expect, it } from 'vitest';
import { bufferSource } from '../../../src/formats/bytes.ts';
import { findDiskCommandLine } from '../../../src/formats/disk-command-line.ts';
import { kernelBegin, kernelStart, kernelToLoad } from '../../../src/formats/s390-kernel.ts';
import { sectorBytes, tableSectors, ziplMap } from '../../../src/formats/zipl-map.ts';

/** A disk with a boot map that loads a kernel with this command line. */
function mainframeDisk(commandLine: string): Buffer {
  const file = Buffer.alloc(0x15000, 0xee);
  file.writeBigUInt64BE(200n, 0x10430);
  const kernel = kernelToLoad(file, { commandLine, initrdSize: 1 });
  const sectors = kernel.length / sectorBytes;
  const tables = tableSectors([{ sectors }]);
  const segment = { sector: 8 + tables, sectors, address: BigInt(kernelBegin) };
  const map = ziplMap({ segments: [segment], start: kernelStart }, 8);
  const disk = Buffer.alloc((8 + tables) * sectorBytes + kernel.length);
  map.bootRecord.copy(disk);
  map.tables.copy(disk, 8 * sectorBytes);
  kernel.copy(disk, segment.sector * sectorBytes);
  return disk;
}

function commandLineOf(disk: Buffer): string {
  const at = disk.indexOf('root=');
  return disk.toString('latin1', at, disk.indexOf(0, at));
}

describe('the command line in a boot map', () => {
  it('can be added to, and added to anew', () => {
    const disk = mainframeDisk('root=x quiet');
    for (const words of ['first words of some length', 'a="b c"']) {
      const found = findDiskCommandLine(bufferSource(disk), 1);
      expect(found).toMatchObject({ room: 200 - 1 - 'root=x quiet'.length - 1, takesQuotes: true });
      found?.withWords(words).copy(disk, found.offset);
      expect(commandLineOf(disk)).toBe(`root=x quiet\t${words}`);
    }
  });

  it('holds as much as there is room for', () => {
    const disk = mainframeDisk('root=x');
    const { room = 0, offset = 0, withWords } = findDiskCommandLine(bufferSource(disk), 1) ?? {};
    const content = withWords?.('w'.repeat(room)) ?? Buffer.alloc(0);
    expect(content.length).toBe(200);
    content.copy(disk, offset);
    expect(commandLineOf(disk)).toBe(`root=x\t${'w'.repeat(room)}`);
    expect(findDiskCommandLine(bufferSource(mainframeDisk('r'.repeat(199))), 1)?.room).toBe(0);
  });

  it('is told from what is no such disk', () => {
    const disk = mainframeDisk('root=x');
    disk.fill(0, 8 * sectorBytes, 9 * sectorBytes);
    expect(() => findDiskCommandLine(bufferSource(disk), 1)).toThrow(
      expect.objectContaining({ code: 'bad-boot-map' }),
    );
    expect(() => findDiskCommandLine(bufferSource(Buffer.alloc(4096)), 1)).toThrow(
      expect.objectContaining({ code: 'no-gpt' }),
    );
  });
});
