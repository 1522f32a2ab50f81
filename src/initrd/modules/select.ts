import type { HostPath, TreePath } from '../../base/brand.ts';
import { treePath } from '../../base/brand.ts';
import { byBytes } from '../../base/canonical.ts';
import { MkimgError } from '../../base/errors.ts';
import { openSource } from '../../formats/bytes.ts';
import type { KernelModule } from '../../formats/kmod.ts';
import { firmwareNames } from '../../formats/kmod.ts';
import { moduleFault } from '../../formats/module-file.ts';
import type { SelectedModule } from '../../steps/kernel-modules/closure.ts';
import { withDependencies } from '../../steps/kernel-modules/closure.ts';
import type { ModinfoContext } from '../../steps/kernel-modules/firmware-names.ts';
import { firmwareOf } from '../../steps/kernel-modules/firmware.ts';
import type { ModuleFile } from '../../steps/kernel-modules/module-files.ts';
import { moduleFiles } from '../../steps/kernel-modules/module-files.ts';
import {
  aliasIndex,
  builtinIndex,
  dependencyIndex,
  symbolIndex,
} from '../../steps/kernel-modules/reduced-indexes.ts';
import type { SegmentItem } from '../../steps/kernel-modules/segment.ts';
import type { Tree } from '../../sandbox/tree.ts';
import { treeAt } from '../../sandbox/tree.ts';
import type { HostFacts } from '../host/facts.ts';
import { rememberedFirmwareNames } from './firmware-memory.ts';
import { isHostKnown } from './host-modules.ts';
import type { KernelIndexes } from './kernel-indexes.ts';
import { readKernelIndexes } from './kernel-indexes.ts';
import type { InitrdMode } from './modes.ts';
import { wantedModules } from './wanted-modules.ts';

export interface SelectionRequest {
  /** The tree with usr/lib/modules/VERSION and usr/lib/firmware; `/` for the running host. */
  readonly root: HostPath;
  readonly kernelVersion: string;
  readonly mode: InitrdMode;
  /**
   * The user's, as in KernelInitrdModules=: the last that matches a module includes or excludes it; what included modules
   * need is there in any case. `default` stands for what the mode brings, and so does a list that only excludes; `host`
   * stands for the loaded modules.
   */
  readonly patterns: readonly string[];
  readonly profiles: readonly ModuleProfile[];
  /** From hostFacts(); needed for the modes `host` and `host-plus`. */
  readonly host: HostFacts | undefined;
  /** A directory in which to remember what modules ask for; they are then read only once. */
  readonly memory?: HostPath;
}

export interface ModuleProfile {
  readonly name: string;
  /** A pattern that ends with `/` means, for the modes of a host, those drivers of them that its devices have. */
  readonly patterns: readonly string[];
}

/** What of a kernel goes into an initrd. */
export interface ModuleSelection {
  readonly root: HostPath;
  readonly kernelVersion: string;
  /** `generic` where the machine told too little of itself for another one. */
  readonly mode: InitrdMode;
  /** Sorted by path. */
  readonly modules: readonly InitrdModule[];
  /** depmod's files that libkmod or people in a rescue shell read. */
  readonly indexes: readonly { readonly path: TreePath; readonly content: HostPath | Buffer }[];
  /** Sorted by path. */
  readonly firmware: readonly InitrdFirmware[];
  /** What modules ask for and the tree has not; most of it is for hardware that is not there. */
  readonly missingFirmware: readonly { readonly name: string; readonly requestedBy: readonly string[] }[];
  /** Names of drivers that are built into the kernel. */
  readonly builtin: readonly string[];
}

export interface InitrdModule extends SelectedModule, ModuleFile {}

export interface InitrdFirmware {
  /** In the initrd. */
  readonly path: TreePath;
  readonly item: SegmentItem;
  /** Modules; names with `_` for `-`. */
  readonly requestedBy: readonly string[];
}

/**
 * Chooses modules and firmware of one kernel.
 * @throws MkimgError `no-module-index`, `bad-module-index`, `module-missing`, `bad-module`, `unsupported-module-pattern`.
 */
export async function selectForInitrd(
  request: SelectionRequest,
  context: ModinfoContext,
): Promise<ModuleSelection> {
  const { root, kernelVersion } = request;
  const tree = treeAt(root);
  const indexes = await readKernelIndexes(tree, kernelVersion);
  const mode = effectiveMode(request);
  const selected = withDependencies(wantedModules({ ...request, mode }, indexes), indexes);
  const modules = await withFiles(tree, kernelVersion, selected);
  const firmware = await selectFirmware(request, { indexes, modules, context });
  return {
    ...{ root, kernelVersion, mode, modules, ...firmware },
    indexes: await indexFilesOf(tree, indexes),
    builtin: [...indexes.builtin].sort(byBytes),
  };
}

/** Texts that libkmod has in binary form, which is all that it looks at. */
const unusedTexts: ReadonlySet<string> = new Set(['modules.alias', 'modules.symbols']);

async function indexFilesOf(
  tree: Tree,
  { directory, files }: KernelIndexes,
): Promise<ModuleSelection['indexes']> {
  const used = files.filter((name) => !unusedTexts.has(name) || !files.includes(`${name}.bin`));
  const found: { path: TreePath; content: HostPath | Buffer }[] = [];
  for (const name of used) {
    const path = treePath(`${directory}/${name}`);
    if ((await tree.type(path)) === 'file') found.push({ path, content: await tree.resolve(path) });
  }
  const texts = async (name: string): Promise<string> =>
    (await tree.readText(treePath(`${directory}/${name}`))) ?? '';
  for (const [name, make] of binaryIndexes) {
    if (files.includes(`${name}.bin`) || !files.includes(name)) continue;
    const content = make(await texts(name), await texts('modules.dep'));
    found.push({ path: treePath(`${directory}/${name}.bin`), content });
  }
  return found;
}

/** The forms of depmod's indexes that libkmod searches; made where there is only the text. */
const binaryIndexes = [
  ['modules.dep', dependencyIndex],
  ['modules.alias', aliasIndex],
  ['modules.symbols', symbolIndex],
  ['modules.builtin', builtinIndex],
] as const;

function effectiveMode({ mode, host }: SelectionRequest): InitrdMode {
  return mode === 'generic' || (host !== undefined && isHostKnown(host)) ? mode : 'generic';
}

async function withFiles(
  tree: Tree,
  version: string,
  selected: readonly SelectedModule[],
): Promise<readonly InitrdModule[]> {
  const files = await moduleFiles(
    tree,
    version,
    selected.map(({ module }) => module),
  );
  for (const { path, module } of files) requireWhole(path, module);
  const reasons = new Map(selected.map((entry) => [entry.module, entry.reasons]));
  return files.map((file) => ({ ...file, reasons: reasons.get(file.module) ?? [] }));
}

/** A machine whose disk driver cannot be loaded does not start, and says so only then. */
function requireWhole(file: HostPath, { path }: KernelModule): void {
  using source = openSource(file);
  const fault = moduleFault(path, source);
  if (fault === undefined) return;
  throw new MkimgError('bad-module', `Kernel module ${path} is damaged: ${fault}.`, {
    hint: 'Install the package again that brought it, or exclude it in KernelInitrdModules= of /etc/mkimg-initrd.',
  });
}

type FirmwareSelection = Pick<ModuleSelection, 'firmware' | 'missingFirmware'>;

async function selectFirmware(
  { root, kernelVersion, memory }: SelectionRequest,
  { indexes, modules, context }: FirmwareRequest,
): Promise<FirmwareSelection> {
  const source = firmwareOf(root, kernelVersion);
  if (!source.isThere) return { firmware: [], missingFirmware: [] };
  const wanted = new Map<string, string[]>();
  const want = (module: string, names: readonly string[]): void => {
    for (const name of names) wanted.set(name, [...(wanted.get(name) ?? []), module]);
  };
  for (const [module, fields] of indexes.builtinFields) want(module, firmwareNames(fields));
  const names = await rememberedFirmwareNames(
    { modules, directory: memory, version: kernelVersion },
    context,
  );
  for (const [module, list] of names) want(module, list);
  const found = new Map<TreePath, InitrdFirmware>();
  const missing: { name: string; requestedBy: readonly string[] }[] = [];
  for (const [name, requestedBy] of [...wanted].sort(([left], [right]) => byBytes(left, right))) {
    const items = source.items(name);
    if (items.size === 0) missing.push({ name, requestedBy: unique(requestedBy) });
    for (const [path, item] of items) {
      const others = found.get(path)?.requestedBy ?? [];
      found.set(path, { path, item, requestedBy: unique([...others, ...requestedBy]) });
    }
  }
  const firmware = [...found.values()].sort((left, right) => byBytes(left.path, right.path));
  return { firmware, missingFirmware: missing };
}

interface FirmwareRequest {
  readonly indexes: KernelIndexes;
  readonly modules: readonly ModuleFile[];
  readonly context: ModinfoContext;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(byBytes);
}
