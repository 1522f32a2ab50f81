import { join } from 'node:path';
import type { HostPath, Sha256, TreePath } from '../base/brand.ts';
import { treePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { digestJson, sha256 } from '../base/canonical.ts';
import { compressionSuffixes } from '../formats/kmod.ts';
import type { NewcEntry } from '../formats/newc.ts';
import { treeAt } from '../sandbox/tree.ts';
import { moduleFiles } from '../steps/kernel-modules/module-files.ts';
import { moduleIndexes, readBuiltinIndexes, readDepmodTexts } from '../steps/kernel-modules/read-indexes.ts';
import { reducedIndexes } from '../steps/kernel-modules/reduced-indexes.ts';
import type { SegmentItem } from '../steps/kernel-modules/segment.ts';
import { segmentEntries } from '../steps/kernel-modules/segment.ts';
import { selectModules } from '../steps/kernel-modules/select.ts';
import { moduleDirectory } from '../steps/kernels.ts';

export interface ModulesRequest {
  /** The system whose modules and firmware they are. */
  readonly root: HostPath;
  readonly version: string;
  /** KernelInitrdModules=. */
  readonly patterns: readonly string[];
  readonly epoch: number;
}

/** The segment of one kernel's modules, chosen but not written. */
export interface ModulesPlan {
  readonly key: Sha256;
  readonly entries: readonly NewcEntry[];
  /** True where the members are not compressed themselves. */
  readonly compress: boolean;
  /** Modules with the reason that each is there. */
  readonly content: Json;
}

const planFormat = 1;

/** Chooses the modules of a kernel. @throws MkimgError `no-module-index`, `module-missing` */
export async function planModules({ root, version, patterns, epoch }: ModulesRequest): Promise<ModulesPlan> {
  const tree = treeAt(root);
  const directory = moduleDirectory(version);
  const texts = await readDepmodTexts(tree, version);
  const selected = selectModules(patterns, moduleIndexes(texts));
  const modules = selected.map(({ module }) => module);
  const files = await moduleFiles(tree, version, modules);
  const items = new Map<TreePath, SegmentItem>();
  const indexes = [...reducedIndexes(texts, modules), ...(await readBuiltinIndexes(tree, version))];
  for (const [name, content] of indexes)
    items.set(treePath(join(directory, name)), { kind: 'file', content, mtime: epoch });
  for (const { module, path, size, mtime } of files)
    items.set(treePath(join(directory, module.path)), {
      kind: 'file',
      content: { file: Buffer.from(path), size },
      mtime,
    });
  const isPacked = files.some(({ module }) =>
    compressionSuffixes.some((suffix) => module.path.endsWith(suffix)),
  );
  return {
    key: digestJson({
      ...{ planFormat, version, epoch },
      indexes: indexes.map(([name, content]) => [name, sha256(content)]),
      files: files.map(({ module, size, mtime }) => [module.path, size, mtime]),
    }),
    entries: segmentEntries(items, epoch),
    compress: !isPacked,
    content: {
      kernel: version,
      modules: Object.fromEntries(
        selected.map(({ module, reason }) => [
          module.path,
          reason.kind === 'pattern' ? `pattern ${reason.pattern}` : `${reason.kind} of ${reason.of}`,
        ]),
      ),
    },
  };
}

/** What decides about the modules of a kernel; paths relative to the root. */
export function watchedModuleFiles(version: string): readonly string[] {
  const directory = `usr/lib/modules/${version}`;
  const names = ['modules.dep', 'modules.softdep', 'modules.weakdep', 'modules.builtin', 'modules.alias'];
  return names.map((name) => join(directory, name));
}
