import { chmod, lchown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import { temporaryDirectory } from '../base/temporary.ts';
import type { ByteSource } from '../formats/bytes.ts';
import { fileType } from '../formats/newc.ts';
import type { NewcMember } from '../formats/newc-reader.ts';
import { memberData, readNewc } from '../formats/newc-reader.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import type { ProgramScope } from './archive.ts';
import { eachArchive } from './archive.ts';
import type { Segment } from './segment-cache.ts';
import { requireSound } from './segment-cache.ts';

/** Unpacks segments, one over the other, into a new directory; `cache` takes what is needed meanwhile. Owners are kept where this process may give files away. */
export async function writeDirectory(
  segments: readonly Segment[],
  target: HostPath,
  { cache, scope }: { readonly cache: HostPath; readonly scope: ProgramScope },
): Promise<void> {
  await mkdir(target);
  await using scratch = await temporaryDirectory(cache, '.unpacked-');
  for (const segment of segments) {
    await requireSound(segment);
    await eachArchive(segment.path, { scratch: scratch.path, scope }, async (source, start) => {
      for (const member of readNewc(source, start, 'kernel'))
        await writeMember(treeAt(target), source, member);
    });
  }
}

const permissions = 0o7777;

async function writeMember(tree: Tree, source: ByteSource, member: NewcMember): Promise<void> {
  const name = member.path.toString('utf8');
  if (name === '.' || name.split('/').includes('..')) return;
  const path = treePath(name);
  const mode = member.mode & permissions;
  switch (member.mode & fileType.mask) {
    case fileType.directory:
      await tree.mkdir(path);
      break;
    case fileType.symlink:
      await tree.symlink(path, memberData(source, member).toString('utf8'));
      break;
    case fileType.regular:
      await tree.writeText(path, memberData(source, member));
      break;
    default:
      // Device nodes: the kernel and udev make them.
      return;
  }
  const isLink = (member.mode & fileType.mask) === fileType.symlink;
  const place = isLink ? await linkPlace(tree, name) : await tree.resolve(path);
  if (process.getuid?.() === 0) await lchown(place, member.uid, member.gid);
  if (!isLink) await chmod(place, mode);
}

/** Where a link itself is: its directory resolved, its own name not. */
async function linkPlace(tree: Tree, name: string): Promise<string> {
  const slash = name.lastIndexOf('/');
  return join(await tree.resolve(treePath(name.slice(0, Math.max(slash, 0)))), name.slice(slash + 1));
}
