import { copyFile, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostPath } from '../../src/base/brand.ts';
import { hostPath, treePath } from '../../src/base/brand.ts';
import { paddingOf, writeNewc } from '../../src/formats/newc.ts';
import type { SegmentItem } from '../../src/steps/kernel-modules/segment.ts';
import { segmentEntries } from '../../src/steps/kernel-modules/segment.ts';

/** A copy of an initrd with a further archive at its end. @param files paths in the initrd and files of the host */
export async function addToInitrd(
  initrd: HostPath,
  files: readonly (readonly [path: string, file: HostPath])[],
  directory: HostPath,
): Promise<HostPath> {
  const items = new Map<ReturnType<typeof treePath>, SegmentItem>();
  for (const [path, file] of files)
    items.set(treePath(path), { kind: 'file', content: await readFile(file), mtime: 0 });
  const result = hostPath(join(directory, 'initrd'));
  await copyFile(initrd, result);
  await using output = await open(result, 'a');
  await output.writeFile(Buffer.alloc(paddingOf((await stat(initrd)).size, 4)));
  for await (const chunk of writeNewc(segmentEntries(items, 0), { epoch: 0 })) await output.writeFile(chunk);
  return result;
}
