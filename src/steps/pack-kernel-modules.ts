import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreePath } from '../base/brand.ts';
import { hostPath, treePath } from '../base/brand.ts';
import type { Json } from '../base/canonical.ts';
import { byBytes } from '../base/canonical.ts';
import type { KernelModule } from '../formats/kmod.ts';
import { compressionSuffixes, firmwareNames, parseBuiltinModinfo } from '../formats/kmod.ts';
import { reducedIndexes } from './kernel-modules/reduced-indexes.ts';
import type { SelectedModule } from './kernel-modules/closure.ts';
import { reasonText } from './kernel-modules/closure.ts';
import { selectModules } from './kernel-modules/select.ts';
import type { SegmentItem } from './kernel-modules/segment.ts';
import { segmentEntries } from './kernel-modules/segment.ts';
import type { Compression } from '../plan/vocabulary.ts';
import type { Tree } from '../sandbox/tree.ts';
import { treeAt } from '../sandbox/tree.ts';
import { writeArchive } from './archive-file.ts';
import { compressionSuffix, compressionTools, compressorOf } from './compression.ts';
import type { BuildContext, FileStep } from './implementation.ts';
import { firmwareByModule, modinfoTools } from './kernel-modules/firmware-names.ts';
import { firmwareOf } from './kernel-modules/firmware.ts';
import type { ModuleFile } from './kernel-modules/module-files.ts';
import { findModuleFiles } from './kernel-modules/module-files.ts';
import { moduleIndexes, readBuiltinIndexes, readDepmodTexts } from './kernel-modules/read-indexes.ts';
import { moduleDirectory, moduleVersions } from './kernels.ts';

/**
 * The initrd segment of each kernel: selected modules with what they depend on, the indexes that kmod searches, and the
 * firmware that the modules ask for and the tree has. The metadata tells for each module why it is there.
 */
export const packKernelModules: FileStep<'pack-kernel-modules'> = {
  output: 'files',
  version: 4,
  memory: 512 << 20,
  tools: [...compressionTools, ...modinfoTools],
  keyTools: ({ compression }) => compressorOf(compression),
  async run({ tree: { root }, modules, compression, epoch }, target, context) {
    const tree = treeAt(root);
    await mkdir(target);
    const kernels: Record<string, Json> = {};
    for (const version of await moduleVersions(tree)) {
      context.signal.throwIfAborted();
      const segment = await kernelSegment({ tree, version, patterns: modules, epoch }, context);
      const file = hostPath(join(target, `${version}.cpio${compressionSuffix(compression)}`));
      await writeArchive(
        {
          entries: segmentEntries(segment.items, epoch),
          target: file,
          compression: adaptedCompression(compression, segment.files),
          epoch,
        },
        context,
      );
      kernels[version] = segment.meta;
    }
    return { kernels };
  },
};

/**
 * Modules that are compressed already stay so: they are as small as an archive of unpacked ones, take a fifth of the
 * memory at boot, and the kernel unpacks only those that it loads. For them a high level is time without a gain.
 */
export function adaptedCompression(compression: Compression, files: readonly ModuleFile[]): Compression {
  const isPacked = ({ module }: ModuleFile): boolean =>
    compressionSuffixes.some((suffix) => module.path.endsWith(suffix));
  if (compression.algorithm === 'none' || !files.some(isPacked)) return compression;
  return { ...compression, level: Math.min(compression.level, 3) };
}

interface KernelSegment {
  readonly items: ReadonlyMap<TreePath, SegmentItem>;
  readonly files: readonly ModuleFile[];
  readonly meta: Json;
}

interface SegmentRequest {
  readonly tree: Tree;
  readonly version: string;
  readonly patterns: readonly string[];
  readonly epoch: number;
}

async function kernelSegment(
  { tree, version, patterns, epoch }: SegmentRequest,
  context: BuildContext,
): Promise<KernelSegment> {
  const texts = await readDepmodTexts(tree, version);
  const builtin = await readBuiltinIndexes(tree, version);
  const selected = selectModules(patterns, moduleIndexes(texts));
  const { files, missing } = await findModuleFiles(
    tree,
    version,
    selected.map(({ module }) => module),
  );
  if (missing.length > 0) noteMissing(missing, { version, context });
  const present = selected.filter(({ module }) => !missing.includes(module));
  const items = new Map<TreePath, SegmentItem>();
  const directory = moduleDirectory(version);
  for (const [name, content] of [
    ...reducedIndexes(
      texts,
      files.map(({ module }) => module),
    ),
    ...builtin,
  ])
    items.set(treePath(`${directory}/${name}`), { kind: 'file', content, mtime: epoch });
  for (const { module, path, size, mtime } of files)
    items.set(treePath(`${directory}/${module.path}`), {
      kind: 'file',
      content: { file: Buffer.from(path), size },
      mtime,
    });
  const firmware = await addFirmware({ tree, version, files, items, builtin }, context);
  return { items, files, meta: { modules: reasonTable(present), firmware } };
}

/** RemoveFiles= takes modules away after depmod ran; they are not wanted in the initrd either. */
function noteMissing(
  missing: readonly KernelModule[],
  { version, context }: { readonly version: string; readonly context: BuildContext },
): void {
  const names = missing.map(({ name }) => name).sort(byBytes);
  const some = names.length > 8 ? [...names.slice(0, 8), `${names.length - 8} more`] : names;
  context.events.emit({
    ...{ type: 'note', level: 'info', code: 'modules-removed' },
    message: `Modules of kernel ${version} that were removed from the image are not in its initrd: ${some.join(', ')}`,
  });
}

interface FirmwareRequest {
  readonly tree: Tree;
  readonly version: string;
  readonly files: readonly ModuleFile[];
  readonly items: Map<TreePath, SegmentItem>;
  readonly builtin: ReadonlyMap<string, Buffer>;
}

/** Adds firmware to the segment; answers which module asked for which file. */
async function addFirmware(
  { tree, version, files, items, builtin }: FirmwareRequest,
  context: BuildContext,
): Promise<Readonly<Record<string, string>>> {
  const firmware = firmwareOf(tree.root, version);
  if (!firmware.isThere) return {};
  const wanted = new Map<string, string>();
  const modinfo = parseBuiltinModinfo(builtin.get('modules.builtin.modinfo')?.toString() ?? '');
  const names = [
    ...[...modinfo].map(([module, fields]) => [module, firmwareNames(fields)] as const),
    ...(await firmwareByModule(files, context)),
  ];
  for (const [module, list] of names) for (const name of list) wanted.set(name, wanted.get(name) ?? module);
  const found: Record<string, string> = {};
  for (const [name, module] of [...wanted].sort(([left], [right]) => byBytes(left, right))) {
    for (const [path, item] of firmware.items(name)) {
      items.set(path, item);
      found[path] = module;
    }
  }
  return found;
}

function reasonTable(selected: readonly SelectedModule[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    selected.map(({ module, reasons }) => [module.path, reasons.map(reasonText).join('; ')]),
  );
}
