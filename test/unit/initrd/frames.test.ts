import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPath } from '../../../src/base/brand.ts';
import { hostPath } from '../../../src/base/brand.ts';
import type { Json } from '../../../src/base/canonical.ts';
import { sha256 } from '../../../src/base/canonical.ts';
import { silentEvents } from '../../../src/base/events.ts';
import type { TemporaryDirectory } from '../../../src/base/temporary.ts';
import { temporaryDirectory } from '../../../src/base/temporary.ts';
import { scanInitrd } from '../../../src/formats/initrd.ts';
import { bufferSource } from '../../../src/formats/bytes.ts';
import type { NewcEntry } from '../../../src/formats/newc.ts';
import { fileType } from '../../../src/formats/newc.ts';
import type { Piece } from '../../../src/initrd/frames.ts';
import { packSegment } from '../../../src/initrd/frames.ts';
import type { Segment } from '../../../src/initrd/segment-cache.ts';
import { writeDigested } from '../../../src/initrd/split.ts';

let scratch: TemporaryDirectory;
beforeEach(async () => {
  scratch = await temporaryDirectory('/tmp', 'test-frames-');
});
afterEach(() => scratch[Symbol.asyncDispose]());

const place = (name: string): HostPath => hostPath(join(scratch.path, name));
const scope = { events: silentEvents, signal: new AbortController().signal };
const zstd = { algorithm: 'zstd', level: 6 } as const;

/** An archive of one file. */
async function piece(directory: string, path: string, content: string): Promise<Piece> {
  const entry: NewcEntry = {
    ...{ path: Buffer.from(path), mode: fileType.regular | 0o644, uid: 0, gid: 0, mtime: 0 },
    content: Buffer.from(content),
  };
  const archive = place(`${directory}/${path}.cpio`);
  return { archive, entries: [entry], digest: await writeDigested([entry], archive) };
}

interface Packed {
  readonly file: HostPath;
  readonly packing: Json;
}

/** A segment of two files. */
async function pack(name: string, second: string, earlier: readonly Segment[]): Promise<Packed> {
  mkdirSync(place(name));
  const pieces = [await piece(name, 'first', 'one'.repeat(1000)), await piece(name, 'second', second)];
  const [file, outline] = [place(`${name}/initrd`), place(`${name}/outline`)];
  return {
    file,
    packing: await packSegment({ pieces, compression: zstd, earlier }, { file, outline }, scope),
  };
}

/** What the cache would say of it. */
function asSegment({ file, packing }: Packed): Segment {
  const digest = sha256('');
  return {
    ...{ role: 'base', key: digest, path: file, bytes: 0, sha256: digest, content: { packing } },
    ...{ outline: file, outlineSha256: digest },
  };
}

function frames(data: Buffer): readonly Buffer[] {
  return scanInitrd(bufferSource(data)).segments.map(({ offset, size }) =>
    data.subarray(offset, offset + size),
  );
}

describe('packSegment', () => {
  it('makes the same bytes, whether or not an earlier segment had a piece', async () => {
    const before = await pack('before', 'old', []);
    const fresh = await pack('fresh', 'new', []);
    const again = await pack('again', 'new', [asSegment(before)]);
    expect(readFileSync(again.file).equals(readFileSync(fresh.file))).toBe(true);
    expect(again.packing).toEqual(fresh.packing);
    const unpacked = frames(readFileSync(again.file)).map((frame) =>
      execFileSync('zstd', ['-q', '-d', '-c'], { input: frame }),
    );
    expect(unpacked.map((data) => sha256(data))).toEqual(
      ['first', 'second'].map((name) => sha256(readFileSync(place(`again/${name}.cpio`)))),
    );
  });

  it('takes pieces of an earlier segment as they are there', async () => {
    const before = await pack('before', 'old', []);
    // Another level: other bytes, which only a copy can bring into the new segment.
    const other = execFileSync('zstd', ['-q', '-19', '-c', place('before/first.cpio')]);
    writeFileSync(before.file, other);
    const { compressor } = before.packing as { readonly compressor: string };
    const frame = {
      ...{ archive: sha256(readFileSync(place('before/first.cpio'))), offset: 0, bytes: other.length },
      sha256: sha256(other),
    };
    const earlier = asSegment({ ...before, packing: { compressor, frames: [frame] } });
    const [first] = frames(readFileSync((await pack('again', 'new', [earlier])).file));
    expect(first?.equals(other)).toBe(true);
    const foreign = asSegment({ ...before, packing: { compressor: 'another', frames: [frame] } });
    const [own] = frames(readFileSync((await pack('foreign', 'new', [foreign])).file));
    expect(own?.equals(other)).toBe(false);
  });

  it('compresses anew what is damaged or gone', async () => {
    const fresh = await pack('fresh', 'new', []);
    const before = await pack('before', 'new', []);
    const sound = readFileSync(before.file);
    for (const [name, damaged] of [
      ['flipped', Buffer.from(sound.map((byte, index) => (index === 20 ? byte ^ 1 : byte)))],
      ['cut', sound.subarray(0, 10)],
    ] as const) {
      writeFileSync(before.file, damaged);
      const again = await pack(name, 'new', [asSegment(before)]);
      expect(readFileSync(again.file).equals(readFileSync(fresh.file))).toBe(true);
    }
    const gone = { ...asSegment(before), path: place('nowhere') };
    expect(readFileSync((await pack('gone', 'new', [gone])).file).equals(readFileSync(fresh.file))).toBe(
      true,
    );
  });
});
