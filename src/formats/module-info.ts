import { gunzipSync } from 'node:zlib';
import { MkimgError } from '../base/errors.ts';
import type { ModinfoField } from './kmod.ts';
import { compressionSuffixOf, modinfoFields, readModinfo } from './kmod.ts';
import { openXzBlock } from './xz-block.ts';
import { decompressZstd } from './zstd-content.ts';

/** Bytes that are unpacked between two looks for the end of what is wanted. */
const step = 4 << 10;
/** Ends with the version that a module was built for; no module is without, and nothing else in it looks the same. */
const landmark = Buffer.from('\0vermagic=');
const largestModule = 1 << 30;

/**
 * What the `.modinfo` section of a module file says. Of a module compressed with xz only the beginning is unpacked: the
 * section stands among the first ones, while the table that would tell its place is at the very end.
 * @param path tells the compression by its suffix
 * @returns undefined where this process cannot unpack it (zstd, see {@link decompressZstd})
 * @throws MkimgError `bad-elf`, `bad-xz`, `bad-zstd`, `truncated-file`, `bad-module` when the file is damaged.
 */
export async function readModuleInfo(
  path: string,
  content: Buffer,
): Promise<readonly ModinfoField[] | undefined> {
  const suffix = compressionSuffixOf(path);
  switch (suffix) {
    case undefined:
      return readModinfo(content);
    case '.gz':
      return readModinfo(gunzip(content));
    case '.xz':
      return modinfoOfXz(content);
    case '.zst': {
      const unpacked = await decompressZstd(content, largestModule);
      return unpacked && readModinfo(unpacked);
    }
  }
}

function gunzip(content: Buffer): Buffer {
  try {
    return gunzipSync(content, { maxOutputLength: largestModule });
  } catch (error) {
    throw new MkimgError('bad-module', 'not a whole gzip file', { cause: error });
  }
}

function modinfoOfXz(content: Buffer): readonly ModinfoField[] {
  const decoder = openXzBlock(content);
  let found = -1;
  for (let size = step, searched = 0; ; size += step) {
    const { bytes, isComplete } = decoder.decodeTo(size);
    if (found < 0) found = bytes.indexOf(landmark, Math.max(0, searched - landmark.length));
    searched = bytes.length;
    const section = found < 0 ? undefined : sectionAround(bytes, found);
    if (section !== undefined) return modinfoFields(section).map(withoutGarbage);
    if (isComplete) return readModinfo(bytes);
    if (bytes.length > largestModule) throw new MkimgError('bad-module', 'it unpacks to more than 1 GiB');
  }
}

/**
 * The run of `key=value` strings around a place in one of them; undefined while its end is not there yet. Strings of other
 * sections that happen to look the same may be part of it.
 */
function sectionAround(bytes: Buffer, place: number): Buffer | undefined {
  let start = place + 1;
  while (start > 0) {
    const before = start < 2 ? -1 : bytes.lastIndexOf(0, start - 2);
    if (!isField(bytes, before + 1, start - 1)) {
      start -= fieldAtEnd(bytes.subarray(before + 1, start));
      break;
    }
    start = before + 1;
  }
  for (let end = place + 1; ;) {
    const next = bytes.indexOf(0, end);
    // The last section of all ends without this process knowing it; what cannot begin a field ends it for sure.
    if (next < 0) return bytes.length - end > longestField ? bytes.subarray(start, end) : undefined;
    if (!isField(bytes, end, next)) return bytes.subarray(start, end);
    end = next + 1;
  }
}

/**
 * The section before need not end with a NUL. Where its last bytes and the first field run into each other, the field is
 * told by its key.
 * @returns the length of the field, with its NUL; 0 when there is none
 */
function fieldAtEnd(bytes: Buffer): number {
  const text = bytes.toString('latin1');
  const start = text.search(knownField);
  return start < 0 ? 0 : text.length - start;
}

/** Those last bytes may look like a key, or like a key and a value. */
function withoutGarbage(field: ModinfoField): ModinfoField {
  if (knownKeys.includes(field.key)) return field;
  const text = `${field.key}=${field.value}`;
  const start = text.search(knownField);
  if (start < 0) return field;
  const equals = text.indexOf('=', start);
  return { key: text.slice(start, equals), value: text.slice(equals + 1) };
}

/** Keys of include/linux/module.h, moduleparam.h and scripts/mod/modpost.c; those that end another one behind it. */
const knownKeys = [
  ...[
    'license',
    'author',
    'description',
    'srcversion',
    'scmversion',
    'version',
    'alias',
    'firmware',
    'softdep',
  ],
  ...[
    'weakdep',
    'parm',
    'parmtype',
    'import_ns',
    'depends',
    'vermagic',
    'name',
    'intree',
    'retpoline',
    'staging',
  ],
  ...['livepatch', 'sig_id'],
];
const knownField = new RegExp(`(?:${knownKeys.join('|')})=`);
const longestField = 16 << 10;
const longestKey = 64;

/** True for `key=...` and for an empty string, which linkers put between objects to align them. */
function isField(bytes: Buffer, start: number, end: number): boolean {
  if (start >= end) return start === end;
  const equals = bytes.indexOf(0x3d, start);
  if (equals <= start || equals >= end || equals - start > longestKey) return false;
  return /^[A-Za-z_][\w.-]*$/.test(bytes.toString('latin1', start, equals));
}
