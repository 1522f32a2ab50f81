import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { HostPath, Sha256 } from '../base/brand.ts';
import { sha256Digest } from '../base/brand.ts';
import { openSource } from '../formats/bytes.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { fileType, writeNewc } from '../formats/newc.ts';
import type { NewcMember } from '../formats/newc-reader.ts';
import { memberData, readNewc } from '../formats/newc-reader.ts';

/**
 * Divides an archive into several, which unpacked one after the other come to what it unpacks to: nothing stands in two of
 * them but the directories on the way. Contents stay in the archive's file until they are written.
 * @param archive uncompressed, as mkimg writes it
 * @param count of archives
 * @param placeOf index of an archive by path, without a leading slash
 */
export function divideArchive(
  archive: HostPath,
  count: number,
  placeOf: (path: string) => number,
): readonly (readonly NewcEntry[])[] {
  using source = openSource(archive);
  const members = [...readNewc(source)];
  const data = linkedData(members);
  const entries = members.map((member): NewcEntry => {
    const { path, mode, uid, gid, mtime, device, inode } = member;
    const common = { path, mode, uid, gid, mtime };
    switch (mode & fileType.mask) {
      case fileType.regular: {
        const { dataOffset, size } = data.get(inode) ?? member;
        return { ...common, content: { file: Buffer.from(archive), size, offset: dataOffset } };
      }
      case fileType.symlink:
        return { ...common, content: memberData(source, member) };
      case fileType.characterDevice:
      case fileType.blockDevice:
        return { ...common, device };
      default:
        return common;
    }
  });
  const groups = members.map(({ inode, nlink, mode }) =>
    nlink > 1 && (mode & fileType.mask) !== fileType.directory ? String(inode) : undefined,
  );
  const places = entries.map(({ path }) => placeOf(path.toString()));
  return Array.from({ length: count }, (_, index) => {
    const chosen = withDirectories(
      entries,
      places.map((place) => place === index),
    );
    return withLinks(entries, groups, chosen);
  });
}

/** Of files with several names, the member that carries the data. */
function linkedData(members: readonly NewcMember[]): ReadonlyMap<number, NewcMember> {
  const linked = members.filter(({ nlink, size }) => nlink > 1 && size > 0);
  return new Map(linked.map((member) => [member.inode, member]));
}

/** Directories come before what is in them: from the end to the beginning, each wanted entry wants the one that it is in. */
function withDirectories(entries: readonly NewcEntry[], isWanted: readonly boolean[]): readonly boolean[] {
  const directories = new Set<string>();
  const chosen = [...isWanted];
  for (let index = entries.length - 1; index >= 0; index--) {
    const path = entries[index]?.path.toString('latin1') ?? '';
    if (directories.has(path)) chosen[index] = true;
    if (chosen[index] === true && path.includes('/')) directories.add(path.slice(0, path.lastIndexOf('/')));
  }
  return chosen;
}

function withLinks(
  entries: readonly NewcEntry[],
  groups: readonly (string | undefined)[],
  chosen: readonly boolean[],
): readonly NewcEntry[] {
  const counts = new Map<string, number>();
  for (const [index, group] of groups.entries())
    if (group !== undefined && chosen[index] === true) counts.set(group, (counts.get(group) ?? 0) + 1);
  return entries.flatMap((entry, index): NewcEntry[] => {
    if (chosen[index] !== true) return [];
    const group = groups[index];
    const count = group === undefined ? 1 : (counts.get(group) ?? 1);
    return [group === undefined || count < 2 ? entry : { ...entry, links: { group, count } }];
  });
}

/** Writes an archive into a new file. @returns the digest of its bytes */
export async function writeDigested(entries: readonly NewcEntry[], target: HostPath): Promise<Sha256> {
  const hash = createHash('sha256');
  await using output = await open(target, 'wx', 0o600);
  // Times were clamped when the archive was first written.
  for await (const chunk of writeNewc(entries, { epoch: Number.MAX_SAFE_INTEGER })) {
    hash.update(chunk);
    await output.writeFile(chunk);
  }
  return sha256Digest(hash.digest('hex'));
}
