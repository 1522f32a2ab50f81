import { lstatSync } from 'node:fs';
import type { HostPath, TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import type { FileContent } from '../../formats/newc.ts';
import type { SegmentItem } from '../../steps/kernel-modules/segment.ts';
import { moduleDirectory } from '../../steps/kernels.ts';
import type { InitrdModule, ModuleSelection } from './select.ts';

/** A module at its place in the initrd. */
export function moduleItem(
  { kernelVersion }: ModuleSelection,
  { module, path, size, mtime }: InitrdModule,
): readonly [TreePath, SegmentItem] {
  const content = { file: Buffer.from(path), size };
  return [treePath(`${moduleDirectory(kernelVersion)}/${module.path}`), { kind: 'file', content, mtime }];
}

/** depmod's files as they are. Their times are those of the machine's last depmod and say nothing. */
export function indexFiles(
  { indexes }: ModuleSelection,
  epoch: number,
): readonly (readonly [TreePath, SegmentItem])[] {
  return indexes.map(({ path, content }) => [path, { kind: 'file', content: source(content), mtime: epoch }]);
}

function source(content: HostPath | Buffer): Buffer | FileContent {
  if (Buffer.isBuffer(content)) return content;
  return { file: Buffer.from(content), size: lstatSync(content).size };
}
